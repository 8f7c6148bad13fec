// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The page of one node. Asks the agent what any program may ask, and shows it. What the agent says
 * is text and stays text: it goes into the page by textContent and nothing else.
 */
"use strict";

const POLL_MS = 1000, HIDDEN_MS = 10000, BACKOFF_MAX_MS = 15000, ANSWER_MS = 5000;
const STALE_MS = 3500;
const SPARKS = 120; /* polls that a sparkline shows */

const SIGNS = {
	in_sync: "good", standalone: "good", done: "good",
	syncing: "busy", connecting: "busy", init: "busy", running: "busy",
	lagging: "warn", paused: "warn",
	down: "bad", needs_resync: "bad", no_quorum: "bad", split_brain: "bad", failed: "bad",
};
const RESOLUTIONS = {
	use_local: { label: "Keep local", head: "Keep what this node has?" },
	use_remote: { label: "Take remote", head: "Take what the other node has?" },
};

const page = {
	token: sessionStorage.getItem("flyrep-token") || "",
	needsToken: false,
	status: null,
	conflicts: [],
	refusal: "",		/* why this user may not decide */
	sparks: new Map(),	/* by peer */
	was: new Map(),		/* states that were said aloud */
	answeredAt: 0,
	delay: POLL_MS,
	trouble: "",
	timer: 0,
	ask: null,		/* what the dialog is for */
	opener: null,
};

const $ = (id) => document.getElementById(id);

/* --- elements ----------------------------------------------------------- */

function put(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

function make(tag, attributes, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {}))
		node.setAttribute(name, value);
	node.append(...children);
	return node;
}

/* One child of @parent for each item, the same one as long as its key is there. */
function each(parent, items, key, build, fill) {
	const old = new Map([...parent.children].map((c) => [c.dataset.key, c]));
	items.forEach((item, i) => {
		const k = String(key(item));
		let node = old.get(k);
		if (!node) {
			node = build(item);
			node.dataset.key = k;
		}
		old.delete(k);
		if (parent.children[i] !== node)
			parent.insertBefore(node, parent.children[i] || null);
		fill(node, item);
	});
	old.forEach((node) => node.remove());
}

function sign(node, state) {
	put(node, words(state));
	node.className = "state " + (SIGNS[state] || "");
}

/* --- figures for people -------------------------------------------------- */

const words = (name) => name.replace(/_/g, " ");
const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const number = (n, digits) => n.toFixed(n < 10 ? digits : 0);

function span(ms) {
	if (ms < 1000)
		return ms ? number(ms, ms < 1 ? 2 : 1) + " ms" : "0 ms";
	if (ms < 60000)
		return number(ms / 1000, 1) + " s";
	if (ms < 3600000)
		return Math.floor(ms / 60000) + " min " + Math.floor(ms / 1000) % 60 + " s";
	if (ms < 86400000)
		return Math.floor(ms / 3600000) + " h " + Math.floor(ms / 60000) % 60 + " min";
	return Math.floor(ms / 86400000) + " d " + Math.floor(ms / 3600000) % 24 + " h";
}

function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++)
		n /= 1024;
	return number(n, i ? 1 : 0) + " " + units[i];
}

const ago = (when) => when ? span(Math.max(0, Date.now() - Date.parse(when))) + " ago" : "never";
/* As in the log: no language has its own order of day and month here. */
const clock = (ms) => new Date(ms).toLocaleString("sv");

/* --- the agent ----------------------------------------------------------- */

async function call(path, body) {
	const headers = page.token ? { Authorization: "Bearer " + page.token } : {};
	const options = { headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) };
	if (body) {
		options.method = "POST";
		options.body = JSON.stringify(body);
		headers["Content-Type"] = "application/json";
	}
	const answer = await fetch("api/replication/" + path, options);
	const json = await answer.json().catch(() => ({}));
	if (answer.ok)
		return json;
	const error = new Error(json.details || json.error || "HTTP status " + answer.status);
	error.status = answer.status;
	throw error;
}

function troubleOf(error) {
	if (error.name === "TimeoutError")
		return "no answer in " + span(ANSWER_MS);
	return error.status ? error.message : "no connection";
}

async function gather() {
	const [status, lag, list] = await Promise.all([call("status"), call("lag"),
		call("conflicts?state=pending")]);
	return { status: status.status, lags: lag.peers, conflicts: list.conflicts };
}

async function poll() {
	let answer = null;
	clearTimeout(page.timer);
	try {
		answer = await gather();
		page.trouble = "";
		page.delay = POLL_MS;
		page.answeredAt = Date.now();
	} catch (error) {
		page.trouble = troubleOf(error);
		page.delay = Math.min(page.delay * 2, BACKOFF_MAX_MS);
		if (error.status === 401)
			askToken();
	}
	later();
	if (answer) {
		page.conflicts = answer.conflicts;
		remember(answer.status, answer.lags);
		show(answer.status, answer.lags);
	}
	showFreshness();
}

function later() {
	clearTimeout(page.timer);
	if (!page.needsToken)
		page.timer = setTimeout(poll, document.hidden ? HIDDEN_MS : page.delay);
}

/* --- the token ------------------------------------------------------------ */

function forget() {
	page.token = "";
	page.refusal = "";
	sessionStorage.removeItem("flyrep-token");
}

function askToken() {
	page.needsToken = true;
	if (page.token)
		put($("login-why"), "The agent does not know this token. Another one?");
	forget();
	$("login").hidden = false;
	$("main").hidden = true;
	showFreshness();
	$("token").focus();
}

$("login").addEventListener("submit", (event) => {
	event.preventDefault();
	page.token = $("token").value.trim();
	sessionStorage.setItem("flyrep-token", page.token);
	$("token").value = "";
	page.needsToken = false;
	page.refusal = "";
	$("login").hidden = true;
	$("main").hidden = false;
	poll();
});

$("forget").addEventListener("click", () => {
	if (!page.token) {
		askToken();
		return;
	}
	forget();
	poll();
});

/* --- what is shown --------------------------------------------------------- */

/* This node writes to it, so it knows how far the peer is behind. */
const writes = (status) => status.ha_role === "primary" || status.ha_role === "peer";

function remember(status, lags) {
	const ids = new Set(status.peers.map((p) => p.id));
	for (const id of page.sparks.keys())
		if (!ids.has(id))
			page.sparks.delete(id);
	for (const peer of status.peers) {
		const sparks = page.sparks.get(peer.id) || [];
		const lag = lags.find((l) => l.id === peer.id);
		const known = writes(status) && peer.connected && lag && lag.samples;
		sparks.push(known ? Math.max(lag.p99_ms, peer.lag_ms) : null);
		page.sparks.set(peer.id, sparks.slice(-SPARKS));
	}
}

/* Changes of states, for who does not see them. */
function say(status) {
	const now = new Map([["This node", status.sync_state]]);
	status.peers.forEach((p) => now.set("Peer " + p.id, p.state));
	now.set("Replication", status.paused ? "paused" : "running");
	now.set("Conflicts that wait", String(status.conflicts_pending));
	if (status.resync)
		now.set("Resync " + status.resync.id, status.resync.state);
	const news = [...now].filter(([who, what]) => page.was.size && page.was.get(who) !== what)
		.map(([who, what]) => who + ": " + words(what));
	if (news.length)
		put($("said"), news.join(". "));
	page.was = now;
}

function show(status, lags) {
	page.status = status;
	document.body.classList.remove("waiting");
	document.title = (SIGNS[status.sync_state] === "good" ? "" : words(status.sync_state) + " \u2013 ") +
		status.node_id + " \u2013 flyrep";
	put($("node"), status.node_id);
	sign($("state"), status.sync_state);
	showFacts(status);
	showWarnings(status.warnings);
	showPeers(status, lags);
	showTables(status.tables);
	showResync(status.resync);
	showConflicts();
	put($("pause"), status.paused ? "Resume" : "Pause\u2026");
	put($("version"), "flyrep " + status.version);
	put($("forget"), page.token ? "Forget the token" : "Use a token");
	say(status);
}

function moduleText(module) {
	if (!module.present)
		return "MISSING";
	return module.version + ", capture by " + module.capture;
}

function showFacts(status) {
	const facts = [
		["Role", status.ha_role + (status.forced ? ", BY FORCE" : ""), status.forced],
		["Mode", status.mode],
		["Epoch", String(status.epoch)],
		["Module", moduleText(status.module), !status.module.present],
		["In step", ago(status.last_sync_time)],
		["Replication", status.paused ? "PAUSED" : "running", status.paused],
	];
	if (status.module.present)
		facts.push(["Flows", count(status.module.flows) + " of " + count(status.module.flows_max)]);
	if (status.quorum && status.quorum.enabled)
		facts.push(["Votes", status.quorum.alive + " of " + status.quorum.votes +
			(status.quorum.majority ? "" : ", NO MAJORITY"), !status.quorum.majority]);
	each($("facts"), facts, (f) => f[0],
		(f) => make("div", {}, make("dt", {}, f[0]), make("dd")), (node, f) => {
			put(node.lastChild, f[1]);
			node.lastChild.className = f[2] ? "error" : "";
		});
}

function showWarnings(warnings) {
	$("warnings-part").hidden = !warnings.length;
	each($("warnings"), warnings, (w) => w, () => make("li"), put);
}

/* A row of named cells; the names stand before them where the screen is narrow. */
function row(heads, numbers) {
	const cells = heads.map((head, i) => make("td", { role: "cell", "data-head": head,
		class: numbers.includes(i) ? "n" : "" }));
	return make("tr", { role: "row" }, ...cells);
}

function buildPeer(peer) {
	const tr = row(["Peer", "State", "Lag p99", "In two minutes", "Backlog", "Round trip",
		"Last audit"], [2, 4, 5, 6]);
	tr.cells[0].append(make("div", {}, make("b", {}, peer.id), make("small"),
		make("small", { class: "error" })));
	tr.cells[1].append(make("span", { class: "state" }));
	tr.cells[3].append(make("div", {}, spark(), make("span", { class: "scale" })));
	return tr;
}

function lagText(status, peer, lag) {
	if (!writes(status))
		return "\u2013";
	if (!peer.connected)
		return "not known";
	if (peer.lag_ms > 1000)
		return span(peer.lag_ms);
	return lag && lag.samples ? span(lag.p99_ms) : "no changes";
}

function backlogText(status, peer) {
	if (!writes(status))
		return "\u2013";
	return peer.connected ? count(peer.backlog_changes) : "not known";
}

function showPeers(status, lags) {
	$("no-peers").hidden = status.peers.length > 0;
	each($("peers"), status.peers, (p) => p.address, buildPeer, (tr, peer) => {
		const [id, about, error] = tr.cells[0].firstChild.children;
		const lag = lags.find((l) => l.id === peer.id);
		put(id, peer.id);
		put(about, peer.role + ", " + peer.address + (peer.paused ? ", PAUSED there" : ""));
		put(error, peer.error);
		sign(tr.cells[1].firstChild, peer.state);
		put(tr.cells[2], lagText(status, peer, lag));
		drawSpark(...tr.cells[3].firstChild.children, page.sparks.get(peer.id) || []);
		put(tr.cells[4], backlogText(status, peer));
		put(tr.cells[5], peer.connected && peer.rtt_ms ? span(peer.rtt_ms) : "\u2013");
		put(tr.cells[6], ago(peer.last_audit));
	});
}

/* --- sparklines -------------------------------------------------------------- */

function svg(tag, attributes) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes))
		node.setAttribute(name, value);
	return node;
}

function spark() {
	const node = svg("svg", { class: "spark", role: "img", viewBox: "0 0 120 20",
		preserveAspectRatio: "none" });
	node.append(svg("line", { x1: 0, x2: SPARKS, y1: 20, y2: 20, "data-key": "" }));
	return node;
}

/* Runs of known values are lines; what is not known is a gap. */
function drawSpark(node, scale, values) {
	const known = values.filter((v) => v !== null);
	const max = Math.max(1, ...known);
	const runs = [];
	let run = null;
	values.forEach((value, i) => {
		if (value === null) {
			run = null;
			return;
		}
		if (!run)
			runs.push(run = []);
		run.push((SPARKS - values.length + i) + "," + (20 - 19 * value / max).toFixed(1));
	});
	const most = known.length ? "at most " + span(Math.max(...known)) : "";
	node.setAttribute("aria-label", "Lag while this page is open: " + (most || "not known"));
	put(scale, most);
	each(node, ["", ...runs.map((r, i) => i)], (k) => k, () => svg("polyline", {}),
		(line, k) => k === "" || line.setAttribute("points", runs[k].join(" ")));
}

/* --- tables, resyncs ------------------------------------------------------------ */

function stepText(table) {
	if (table.in_step === null)
		return "not compared yet";
	if (table.in_step)
		return "in step";
	return table.buckets_differ ? "differs in " + count(table.buckets_differ) + " buckets" : "differs";
}

function showTables(tables) {
	each($("tables"), tables, (t) => t.table, () => {
		const tr = row(["Table", "With the peers", "Entries", "Memory"], [2, 3]);
		tr.cells[0].append(make("b"));
		tr.cells[1].append(make("span"));
		return tr;
	}, (tr, table) => {
		put(tr.cells[0].firstChild, table.table);
		put(tr.cells[1].firstChild, stepText(table));
		tr.cells[1].firstChild.className = "state quiet " +
			(table.in_step === null ? "" : table.in_step ? "good" : "bad");
		put(tr.cells[2], count(table.entries));
		put(tr.cells[3], bytes(table.memory_bytes));
	});
}

function resyncText(r) {
	const what = r.tables.length < page.status.tables.length ? r.tables.join(", ") : "all tables";
	const whom = "with " + (r.peers.join(", ") || "nobody") + ", " + what;
	const sent = count(r.records) + " of " + count(r.records_total) + " records";
	if (r.state === "running")
		return whom + ": " + sent + ", " + bytes(r.bytes_per_s) + "/s" +
			(r.left_ms === null ? "" : ", " + span(r.left_ms) + " left");
	if (r.state === "failed")
		return whom + ": " + r.error;
	return whom + ": " + count(r.records) + " records in " + span(r.elapsed_ms);
}

function showResync(r) {
	$("resync-part").hidden = !r;
	if (!r)
		return;
	const ratio = r.state === "done" ? 1 : r.buckets_total ? r.buckets / r.buckets_total : 0;
	sign($("resync-state"), r.state);
	put($("resync-text"), (r.state === "running" ? Math.floor(100 * ratio) + " %, " : "") + resyncText(r));
	$("resync-bar").value = ratio;
	$("resync-bar").hidden = r.state !== "running";
}

/* --- conflicts ---------------------------------------------------------------- */

/* Fields of a side that are not of the record, or are told otherwise. */
const ASIDE = new Set(["node_id", "version", "written_ms", "table", "op", "origin", "id", "stamp", "age_us"]);
const plain = (value) => typeof value === "object" ? JSON.stringify(value) : String(value);

function fieldsOf(conflict) {
	const names = new Set();
	conflict.sides.forEach((s) => Object.keys(s).forEach((n) => ASIDE.has(n) || names.add(n)));
	return [...names];
}

function differs(conflict, name) {
	return new Set(conflict.sides.map((s) => JSON.stringify(s[name]))).size > 1;
}

function titleOf(conflict) {
	const side = conflict.sides[0];
	const what = conflict.kind === "address" ? [side.scope, side.ip] :
		[side.name || side.path || side.key || side.client || side.mac, side.type, side.rdata, side.ip];
	return conflict.table + " " + what.filter((w) => w !== undefined).map(plain).join(" ");
}

function buildSide(conflict, side, i) {
	const dl = make("dl");
	for (const name of fieldsOf(conflict)) {
		if (side[name] === undefined || (side[name] === "" && !differs(conflict, name)))
			continue;
		dl.append(make("dt", {}, words(name)),
			make("dd", { class: differs(conflict, name) ? "other" : "" }, plain(side[name])));
	}
	if (side.op === "delete")
		dl.append(make("dt", {}, "deleted"), make("dd", { class: "other" }, "yes"));
	return make("div", { class: "side" },
		make("h4", {}, (i === conflict.local ? "Local: " : "Remote: ") + side.node_id),
		make("p", { class: "when" }, "written " + clock(side.written_ms) +
			(i === conflict.local ? ", in effect here" : "")), dl);
}

/* As the buttons stand. */
function localFirst(conflict) {
	const others = [...conflict.sides.keys()].filter((i) => i !== conflict.local);
	return [conflict.local, ...others];
}

function buildConflict(conflict) {
	const actions = make("div", { class: "actions" });
	for (const [how, texts] of Object.entries(RESOLUTIONS)) {
		const button = make("button", { type: "button", "data-how": how,
			"aria-label": texts.label + ": " + titleOf(conflict) }, texts.label + "\u2026");
		button.addEventListener("click", () => askResolve(conflict, how));
		actions.append(button);
	}
	actions.append(make("span", { class: "when" }));
	return make("article", { class: "conflict" },
		make("h3", {}, titleOf(conflict)), make("p", { class: "when" }),
		make("div", { class: "sides" }, ...localFirst(conflict)
			.map((i) => buildSide(conflict, conflict.sides[i], i))),
		actions);
}

function showConflicts() {
	$("conflicts-part").hidden = !page.conflicts.length;
	each($("conflicts"), page.conflicts, (c) => c.id, buildConflict, (node, c) => {
		const over = c.expires_ms ? ", the time decides in " + span(Math.max(0, c.expires_ms - Date.now())) : "";
		put(node.children[1], (c.kind === "address" ? "Two leases of one address" : "Two writes, neither saw the other") +
			", noticed " + clock(c.detected_ms) + over +
			(c.skew ? ". The clocks are too close to tell which is later" : ""));
		put(node.lastChild.lastChild, page.refusal);
	});
	enable();
}

/* --- the dialog ------------------------------------------------------------------ */

function open(ask) {
	page.ask = ask;
	page.opener = document.activeElement;
	put($("ask-head"), ask.head);
	put($("ask-text"), ask.text);
	put($("ask-yes"), ask.yes);
	$("ask-choices").hidden = !ask.hasChoices;
	$("ask-why").hidden = !ask.hasReason;
	$("ask-reason").value = "";
	$("ask-error").hidden = true;
	$("ask-yes").disabled = false;
	$("ask").showModal();
	(ask.hasReason ? $("ask-reason") : $("ask-no")).focus();
}

$("ask-no").addEventListener("click", () => $("ask").close());
$("ask").addEventListener("close", () => page.opener && page.opener.focus());
$("ask").addEventListener("submit", async (event) => {
	event.preventDefault();
	$("ask-yes").disabled = true;
	try {
		await call(page.ask.path, page.ask.body());
		$("ask").close();
	} catch (error) {
		put($("ask-error"), troubleOf(error));
		$("ask-error").hidden = false;
		if (error.status === 403 && page.ask.hasReason)
			page.refusal = error.message;
		$("ask-yes").disabled = error.status === 403;
	}
	poll();
});

function askResolve(conflict, how) {
	const local = conflict.sides[conflict.local];
	const other = conflict.sides.find((s, i) => i !== conflict.local);
	const side = how === "use_local" ? local : other;
	open({
		head: RESOLUTIONS[how].head,
		text: titleOf(conflict) + ": what " + side.node_id + " has will hold on all nodes.",
		yes: RESOLUTIONS[how].label,
		hasReason: true,
		path: "conflicts/" + conflict.id + "/resolve",
		body: () => ({ resolution: how, reason: $("ask-reason").value }),
	});
}

function choices(select, first, names) {
	select.replaceChildren(make("option", { value: "" }, first),
		...names.map((n) => make("option", { value: n }, n)));
}

$("resync").addEventListener("click", () => {
	choices($("ask-peer"), "all that are connected",
		page.status.peers.filter((p) => p.connected).map((p) => p.id));
	choices($("ask-table"), "all", page.status.tables.map((t) => t.table));
	open({
		head: "Send everything again?",
		text: "Nothing is interrupted, but all of it goes over the wire once. Differences are repaired without this.",
		yes: "Resync",
		hasChoices: true,
		path: "resync",
		body: () => Object.fromEntries([["peer", $("ask-peer").value], ["table", $("ask-table").value]]
			.filter(([, value]) => value)),
	});
});

$("pause").addEventListener("click", () => {
	if (page.status.paused)
		open({
			head: "Resume replication?", text: "Peers get what they have missed.",
			yes: "Resume", path: "resume", body: () => ({}),
		});
	else
		open({
			head: "Pause replication?",
			text: "Nothing is sent or applied until somebody resumes it, or the agent restarts. " +
				"A takeover meanwhile loses what was not sent.",
			yes: "Pause", path: "pause", body: () => ({}),
		});
});

/* --- fresh or stale ----------------------------------------------------------------- */

/* Nothing is to be pressed on the ground of what may be wrong. */
function enable() {
	const fine = page.status && !page.needsToken && !isStale();
	$("pause").disabled = !fine;
	$("resync").disabled = !fine || !page.status.connected || page.status.paused ||
		(page.status.resync !== null && page.status.resync.state === "running");
	for (const button of document.querySelectorAll(".conflict button"))
		button.disabled = !fine || page.refusal !== "";
}

function isStale() {
	const age = Date.now() - page.answeredAt;
	return page.trouble !== "" || (!document.hidden && age > Math.max(STALE_MS, ANSWER_MS));
}

function showFreshness() {
	const age = Date.now() - page.answeredAt, stale = isStale() && !page.needsToken;
	$("stale").hidden = !stale;
	document.body.classList.toggle("stale-data", stale && page.answeredAt > 0);
	if (stale) {
		const why = page.trouble || "it is silent";
		put($("stale"), page.answeredAt ?
			"The agent does not answer (" + why + "). What is shown is of " + clock(page.answeredAt) + "." :
			"The agent does not answer (" + why + ").");
		document.title = "NO ANSWER \u2013 " + $("node").textContent + " \u2013 flyrep";
	}
	put($("fresh"), page.needsToken || !page.answeredAt ? "" :
		stale ? span(age - age % 1000) + " old" : "up to date");
	enable();
}

document.addEventListener("visibilitychange", () => {
	if (!document.hidden)
		poll();
});
setInterval(showFreshness, 1000);
poll();

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API's calls about conflicts, over a socket: two nodes that disagree, one of which is asked.
 * Clients are threads, so that the loop of the one that is asked can run.
 */
#include "cluster.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include <curl/curl.h>

#include "arbiter.h"

#define DNS FLYREP_TABLE_DNS
#define DEADLINE_US 20000000ull

static const char *const nobody[] = { "nobody-there" };

/* What is asked: node n1 of the cluster, as if an agent had it. */
struct desk {
	struct cluster cluster;
	struct fr_config config;
	struct fr_config_peer peers[1];
	struct arbiter arbiter;
	sd_event *event;
	struct api *api;
	char dir[64], path[96];
};

static void on_list(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	arbiter_list(cookie, call);
}

static void on_show(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	arbiter_show(cookie, call);
}

static void on_resolve(void *cookie, struct api_call *call, const json_t *body)
{
	arbiter_resolve(cookie, call, body);
}

static void on_test(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	arbiter_test(cookie, call);
}

static const struct api_route routes[] = {
	{ "GET", "/conflicts", on_list, false },
	{ "GET", "/conflicts/+", on_show, false },
	{ "POST", "/conflicts/+/resolve", on_resolve, false },
	{ "GET", "/test", on_test, false },
	{ NULL, NULL, NULL, false },
};

static void desk_open(struct desk *d, int strategy, bool is_approver)
{
	const struct ledger_config config = {
		.tables = LEDGER_TABLES,
		.rules = { .strategy = strategy, .resolution = HISTORY_MILLISECOND,
			   .skew_tolerance_ms = 100, .is_approval_required = true },
		.inbox = { .timeout_ms = 3600000, .approvers = nobody, .n_approvers = !is_approver },
		.tombstone_ms = 5000, .tombstones_max = 100, .history_max = 100,
	};

	memset(d, 0, sizeof(*d));
	cluster_init(&d->cluster, 2, &config);
	d->peers[0].id = (char *)node_names[1];
	d->config.mode = FR_CONFIG_ACTIVE_ACTIVE;
	d->config.peers.v = d->peers;
	d->config.peers.n = 1;
	d->config.conflict_resolution.strategy = strategy;
	d->config.conflict_resolution.clock_skew_tolerance_ms = 100;
	d->config.conflict_resolution.manual_resolution.timeout_ms = 3600000;
	d->arbiter.config = &d->config;
	d->arbiter.ledger = d->cluster.nodes[0].ledger;
	strcpy(d->dir, "/tmp/test_arbiter.XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->path, sizeof(d->path), "%s/api.sock", d->dir);
	assert_true(sd_event_new(&d->event) >= 0);
	assert_int_equal(api_start(&d->api, d->event, d->path, routes, &d->arbiter), 0);
}

static void desk_close(struct desk *d)
{
	api_stop(d->api);
	sd_event_unref(d->event);
	assert_int_equal(rmdir(d->dir), 0);
	cluster_free(&d->cluster);
}

/* --- asking --------------------------------------------------------------- */

struct question {
	const char *socket, *path, *body;
	json_t *answer;
	long status;
	char text[65536];
	size_t len;
	atomic_bool is_over;
};

static size_t on_data(char *data, size_t size, size_t n, void *cookie)
{
	struct question *q = cookie;

	if (q->len + size * n >= sizeof(q->text))
		return 0;
	memcpy(q->text + q->len, data, size * n);
	q->len += size * n;
	return size * n;
}

static void *ask_thread(void *cookie)
{
	struct question *q = cookie;
	CURL *curl = curl_easy_init();
	char url[256];

	snprintf(url, sizeof(url), "http://localhost%s", q->path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, q->socket);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, q);
	if (q->body)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body);
	if (curl_easy_perform(curl) == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &q->status);
	curl_easy_cleanup(curl);
	atomic_store(&q->is_over, true);
	return NULL;
}

/* A reference to the answer; the status is looked at. @body NULL: GET */
static json_t *ask(struct desk *d, long status, const char *path, const char *body)
{
	struct question q = { .socket = d->path, .path = path, .body = body };
	uint64_t begin, now;
	pthread_t thread;
	json_t *answer;

	sd_event_now(d->event, CLOCK_MONOTONIC, &begin);
	assert_int_equal(pthread_create(&thread, NULL, ask_thread, &q), 0);
	do {
		assert_true(sd_event_run(d->event, 10000) >= 0);
		sd_event_now(d->event, CLOCK_MONOTONIC, &now);
	} while (!atomic_load(&q.is_over) && now - begin < DEADLINE_US);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (q.status != status)
		fail_msg("%s: %ld %.*s", path, q.status, (int)q.len, q.text);
	answer = json_loadb(q.text, q.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(answer);
	return answer;
}

static void check_error(struct desk *d, long status, const char *path, const char *body,
			const char *error, const char *details)
{
	json_t *answer = ask(d, status, path, body);

	assert_string_equal(json_string_value(json_object_get(answer, "error")), error);
	assert_string_equal(json_string_value(json_object_get(answer, "details")), details);
	json_decref(answer);
}

static const char *text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "-";
}

static long long number_at(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

/* --- what they disagree on ------------------------------------------------ */

static void put(struct node *n, uint8_t table, const char *const *texts)
{
	struct flyrep_item *it = item_make(table, 0, texts);

	local_put(n, table, it);
	free(it);
	flush(n);
}

static void put_dns(struct node *n, const char *name, const char *ttl)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { NULL, name, "A", "10.0.0.1", ttl };

	put(n, DNS, texts);
}

static void two_differ(struct desk *d, const char *name)
{
	put_dns(&d->cluster.nodes[0], name, "1");
	d->cluster.now_ms += 500;
	put_dns(&d->cluster.nodes[1], name, "2");
	talk(&d->cluster);
}

static void on_first(void *cookie, const struct inbox_conflict *c)
{
	uint64_t *id = cookie;

	*id = *id ?: c->id;
}

static uint64_t first_id(struct desk *d, int state)
{
	uint64_t id = 0;

	inbox_list(ledger_inbox(d->arbiter.ledger), state, on_first, &id);
	assert_true(id);
	return id;
}

/* --- the tests ------------------------------------------------------------ */

static void what_waits_is_listed_and_told(void **state)
{
	json_t *answer, *conflict, *side;
	char path[64];
	struct desk d;
	uint64_t id;

	(void)state;
	desk_open(&d, HISTORY_MANUAL, true);
	answer = ask(&d, 200, "/conflicts", NULL);
	assert_int_equal(json_array_size(json_object_get(answer, "conflicts")), 0);
	assert_int_equal(number_at(answer, "pending"), 0);
	json_decref(answer);
	two_differ(&d, "a");
	id = first_id(&d, INBOX_PENDING);
	assert_int_equal(arbiter_pending(&d.arbiter), 1);

	answer = ask(&d, 200, "/conflicts?state=pending", NULL);
	assert_int_equal(json_array_size(json_object_get(answer, "conflicts")), 1);
	assert_int_equal(number_at(answer, "pending"), 1);
	assert_int_equal(number_at(json_object_get(answer, "counts"), "conflicts"), 1);
	json_decref(answer);
	answer = ask(&d, 200, "/conflicts?state=resolved", NULL);
	assert_int_equal(json_array_size(json_object_get(answer, "conflicts")), 0);
	json_decref(answer);

	snprintf(path, sizeof(path), "/conflicts/%lu", id);
	answer = ask(&d, 200, path, NULL);
	conflict = json_object_get(answer, "conflict");
	assert_int_equal(number_at(conflict, "id"), id);
	assert_string_equal(text_at(conflict, "state"), "pending");
	assert_string_equal(text_at(conflict, "table"), "dns");
	assert_string_equal(text_at(conflict, "strategy"), "manual");
	assert_int_equal(number_at(conflict, "expires_ms"),
			 number_at(conflict, "detected_ms") + 3600000);
	side = json_array_get(json_object_get(conflict, "sides"),
			      (size_t)number_at(conflict, "local"));
	assert_string_equal(text_at(side, "node_id"), "n1");
	assert_string_equal(text_at(side, "name"), "a");
	assert_int_equal(number_at(side, "ttl"), 1);
	assert_int_equal(number_at(side, "written_ms"), d.cluster.now_ms - 500);
	assert_int_equal(json_array_size(json_object_get(answer, "audit")), 1);
	json_decref(answer);
	desk_close(&d);
}

static void what_is_asked_wrongly_is_named(void **state)
{
	char path[64], resolve[80];
	struct desk d;

	(void)state;
	desk_open(&d, HISTORY_MANUAL, true);
	two_differ(&d, "a");
	snprintf(path, sizeof(path), "/conflicts/%lu", first_id(&d, -1));
	snprintf(resolve, sizeof(resolve), "%s/resolve", path);
	check_error(&d, 400, "/conflicts?state=done", NULL, "bad request",
		    "state: one of pending, resolved, expired");
	check_error(&d, 400, "/conflicts?stat=pending", NULL, "bad request",
		    "stat: no such parameter, there is state");
	check_error(&d, 404, "/conflicts/12", NULL, "not found", "no conflict 12");
	check_error(&d, 404, "/conflicts/12/resolve", "{}", "not found", "no conflict 12");
	check_error(&d, 404, "/conflicts/99999999999999999999", NULL, "not found",
		    "no conflict 99999999999999999999");
	check_error(&d, 404, "/conflicts/-1", NULL, "not found", "no conflict -1");
	check_error(&d, 400, resolve, "{}", "bad request",
		    "resolution: one of use_local, use_remote, merge");
	check_error(&d, 400, resolve, "{\"resolution\": \"rule\"}", "bad request",
		    "resolution: one of use_local, use_remote, merge");
	check_error(&d, 400, resolve, "{\"resolution\": 1}", "bad request",
		    "resolution: one of use_local, use_remote, merge");
	check_error(&d, 400, resolve, "{\"resolution\": \"use_local\", \"reason\": 1}",
		    "bad request", "reason: a text");
	check_error(&d, 400, resolve, "{\"resolution\": \"use_local\", \"grund\": \"x\"}",
		    "bad request", "grund: no such key, there are resolution and reason");
	check_error(&d, 400, "/test?peer=n2&x", NULL, "bad request",
		    "x: no such parameter, there is peer");
	check_error(&d, 404, "/test?peer=n7", NULL, "unknown peer", "peer: none of ours");
	assert_int_equal(arbiter_pending(&d.arbiter), 1);
	desk_close(&d);
}

static void a_decision_is_told_with_who_made_it(void **state)
{
	json_t *answer, *conflict, *last;
	char path[64];
	struct desk d;

	(void)state;
	if (geteuid())
		skip();
	desk_open(&d, HISTORY_MANUAL, true);
	two_differ(&d, "a");
	snprintf(path, sizeof(path), "/conflicts/%lu/resolve", first_id(&d, -1));
	answer = ask(&d, 200, path, "{\"resolution\": \"use_remote\", \"reason\": \"theirs\"}");
	conflict = json_object_get(answer, "conflict");
	assert_string_equal(text_at(conflict, "state"), "resolved");
	assert_string_equal(text_at(conflict, "resolution"), "use_remote");
	assert_string_equal(text_at(conflict, "resolved_by"), "root");
	assert_string_equal(text_at(conflict, "reason"), "theirs");
	assert_null(json_object_get(conflict, "expires_ms"));
	last = json_array_get(json_object_get(answer, "audit"), 1);
	assert_string_equal(text_at(last, "who"), "root");
	assert_string_equal(text_at(last, "reason"), "theirs");
	assert_string_equal(text_at(last, "state"), "resolved");
	json_decref(answer);
	assert_int_equal(arbiter_pending(&d.arbiter), 0);
	check_error(&d, 409, path, "{\"resolution\": \"use_local\"}", "decided already",
		    "this conflict is resolved already, by root");
	flush(&d.cluster.nodes[0]);
	talk(&d.cluster);
	assert_int_equal(inbox_count(ledger_inbox(d.cluster.nodes[1].ledger), INBOX_PENDING), 0);
	desk_close(&d);
}

/* Root may always; whoever else is not on the list may not. */
static void only_approvers(void **state)
{
	char path[64];
	struct desk d;

	(void)state;
	if (geteuid())
		skip();
	desk_open(&d, HISTORY_MANUAL, false);
	two_differ(&d, "a");
	two_differ(&d, "b");
	snprintf(path, sizeof(path), "/conflicts/%lu/resolve", first_id(&d, INBOX_PENDING));
	assert_int_equal(chmod(d.dir, 0755), 0);
	assert_int_equal(chmod(d.path, 0666), 0);
	assert_int_equal(seteuid(1), 0);
	check_error(&d, 403, path, "{\"resolution\": \"use_local\"}", "not an approver",
		    "\"daemon\" is not one of the approvers");
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(arbiter_pending(&d.arbiter), 2);
	json_decref(ask(&d, 200, path, "{\"resolution\": \"use_local\"}"));
	assert_int_equal(arbiter_pending(&d.arbiter), 1);
	desk_close(&d);
}

/* A list of a thousand files would be long: so it has none of their bytes. */
static void long_texts_are_for_who_asks_for_one(void **state)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { "/etc/x" };
	json_t *answer, *side;
	char text[1001], path[64];
	struct desk d;

	(void)state;
	desk_open(&d, HISTORY_TIMESTAMP, true);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	texts[5] = text;
	put(&d.cluster.nodes[0], FLYREP_TABLE_CONFIG, texts);
	text[0] = 'y';
	put(&d.cluster.nodes[1], FLYREP_TABLE_CONFIG, texts);
	talk(&d.cluster);
	answer = ask(&d, 200, "/conflicts", NULL);
	side = json_array_get(
		json_object_get(json_array_get(json_object_get(answer, "conflicts"), 0), "sides"),
		0);
	assert_string_equal(text_at(side, "path"), "/etc/x");
	assert_null(json_object_get(side, "bytes"));
	json_decref(answer);
	snprintf(path, sizeof(path), "/conflicts/%lu", first_id(&d, -1));
	answer = ask(&d, 200, path, NULL);
	side = json_array_get(json_object_get(json_object_get(answer, "conflict"), "sides"), 0);
	assert_true(json_string_length(json_object_get(side, "bytes")) >= 1000);
	assert_string_equal(text_at(json_object_get(answer, "conflict"), "resolved_by"), "rule");
	json_decref(answer);
	desk_close(&d);
}

static void a_dry_run_names_the_winner(void **state)
{
	json_t *answer;
	struct desk d;

	(void)state;
	desk_open(&d, HISTORY_TIMESTAMP, true);
	answer = ask(&d, 200, "/test", NULL);
	assert_string_equal(text_at(json_object_get(answer, "test"), "winner"), "n2");
	json_decref(answer);
	answer = ask(&d, 200, "/test?peer=n2", NULL);
	assert_true(*text_at(json_object_get(answer, "test"), "why"));
	json_decref(answer);
	assert_int_equal(ledger_figures(d.arbiter.ledger)->n_slots, 0);
	desk_close(&d);
}

static void without_versions_there_are_none(void **state)
{
	struct ledger *kept;
	json_t *answer;
	struct desk d;

	(void)state;
	desk_open(&d, HISTORY_TIMESTAMP, true);
	kept = d.arbiter.ledger;
	d.arbiter.ledger = NULL;
	answer = ask(&d, 200, "/conflicts", NULL);
	assert_int_equal(json_array_size(json_object_get(answer, "conflicts")), 0);
	assert_int_equal(number_at(answer, "pending"), 0);
	json_decref(answer);
	check_error(&d, 404, "/conflicts/1", NULL, "not found", "no conflict 1");
	check_error(&d, 404, "/conflicts/1/resolve", "{}", "not found", "no conflict 1");
	check_error(&d, 409, "/test", NULL, "no conflicts here",
		    "the mode is active-active, and no table in data can have any");
	d.config.mode = FR_CONFIG_REPLICA;
	check_error(&d, 409, "/test", NULL, "no conflicts here",
		    "the mode is replica, and who writes wins");
	d.arbiter.ledger = kept;
	desk_close(&d);
}

static json_t *warnings_of(struct desk *d)
{
	json_t *warnings = json_array();

	arbiter_warn(&d->arbiter, warnings);
	return warnings;
}

static void the_status_warns(void **state)
{
	json_t *warnings;
	struct desk d;

	(void)state;
	desk_open(&d, HISTORY_MANUAL, true);
	d.cluster.nodes[1].offset_ms = 79;
	put_dns(&d.cluster.nodes[1], "c", "1");
	talk(&d.cluster);
	assert_int_equal(arbiter_offset_ms(&d.arbiter, "n2"), 79);
	warnings = warnings_of(&d);
	assert_int_equal(json_array_size(warnings), 0);
	json_decref(warnings);
	d.cluster.nodes[1].offset_ms = 80;
	put_dns(&d.cluster.nodes[1], "c", "2");
	talk(&d.cluster);
	warnings = warnings_of(&d);
	assert_int_equal(json_array_size(warnings), 1);
	assert_string_equal(json_string_value(json_array_get(warnings, 0)),
			    "peer n2: its clock is 80 ms ahead of this node's: "
			    "clock_skew_tolerance is 100 ms");
	json_decref(warnings);
	d.cluster.nodes[1].offset_ms = 0;
	two_differ(&d, "a");
	two_differ(&d, "b");
	warnings = warnings_of(&d);
	assert_int_equal(json_array_size(warnings), 1);
	assert_string_equal(json_string_value(json_array_get(warnings, 0)),
			    "2 conflicts wait for somebody to decide: flyrep conflicts "
			    "--state pending");
	json_decref(warnings);
	assert_null(arbiter_trouble(&d.arbiter));
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_is_listed_and_told),
		cmocka_unit_test(what_is_asked_wrongly_is_named),
		cmocka_unit_test(a_decision_is_told_with_who_made_it),
		cmocka_unit_test(only_approvers),
		cmocka_unit_test(long_texts_are_for_who_asks_for_one),
		cmocka_unit_test(a_dry_run_names_the_winner),
		cmocka_unit_test(without_versions_there_are_none),
		cmocka_unit_test(the_status_warns),
	};

	curl_global_init(CURL_GLOBAL_DEFAULT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

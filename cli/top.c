// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep top: what goes on now, table by table and peer by peer */
#include "format.h"
#include "http.h"
#include "peers.h"
#include "screen.h"
#include "state.h"
#include "verbs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVERY_S 2
#define HISTORY 256
#define PEERS_MAX 64

/* The lags of one peer, the latest last; -1: not known */
struct history {
	char id[80];
	double lags[HISTORY];
	size_t n;
};

struct top {
	const struct cli *cli;
	json_t *now, *before; /* answers of status; before: NULL at first */
	double now_s, before_s; /* when they came */
	char error[CLI_ERROR_LEN]; /* why there is no answer now; "": there is */
	struct history peers[PEERS_MAX];
	size_t n_peers;
};

static double clock_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- rates ------------------------------------------------------------------ */

/* The one of @list that says the same under @key */
static const json_t *same(const json_t *list, const json_t *object, const char *key)
{
	const json_t *other;
	size_t i;

	json_array_foreach(list, i, other)
		if (!strcmp(format_text(other, key), format_text(object, key)))
			return other;
	return NULL;
}

static const json_t *status_of(const json_t *answer)
{
	return json_object_get(answer, "status");
}

/*
 * How fast a counter of an object grows, in counts a second; null if that is not known. One
 * that has begun anew has grown by what it says.
 */
static json_t *rate(const struct top *top, const json_t *now, const json_t *before, const char *key)
{
	const json_t *a = json_object_get(before, key), *b = json_object_get(now, key);
	double grown, seconds = top->now_s - top->before_s;

	if (!json_is_number(a) || !json_is_number(b) || seconds <= 0)
		return json_null();
	grown = json_number_value(b) - json_number_value(a);
	return json_real((grown < 0 ? json_number_value(b) : grown) / seconds);
}

static json_t *table_rates(const struct top *top, const json_t *table)
{
	const json_t *all = json_object_get(status_of(top->before), "tables");
	const json_t *before = same(all, table, "table");

	return json_pack("{s:O, s:O?, s:o, s:o}", "table", json_object_get(table, "table"),
			 "entries", json_object_get(table, "entries"), "out_per_s",
			 rate(top, table, before, "changes_out"), "in_per_s",
			 rate(top, table, before, "changes_in"));
}

static json_t *peer_rates(const struct top *top, const json_t *peer)
{
	const json_t *before = same(json_object_get(status_of(top->before), "peers"), peer, "id");

	return json_pack("{s:O, s:O?, s:O?, s:O?, s:O?, s:O?, s:o, s:o}", "id",
			 json_object_get(peer, "id"), "state", json_object_get(peer, "state"),
			 "connected", json_object_get(peer, "connected"), "lag_ms",
			 json_object_get(peer, "lag_ms"), "backlog_changes",
			 json_object_get(peer, "backlog_changes"), "backlog_bytes",
			 json_object_get(peer, "backlog_bytes"), "tx_bytes_per_s",
			 rate(top, peer, before, "tx_bytes"), "rx_bytes_per_s",
			 rate(top, peer, before, "rx_bytes"));
}

/* All there is to show */
static json_t *picture(const struct top *top)
{
	const json_t *status = status_of(top->now), *item;
	json_t *tables = json_array(), *peers = json_array();
	struct timespec t;
	size_t i;

	json_array_foreach(json_object_get(status, "tables"), i, item)
		json_array_append_new(tables, table_rates(top, item));
	json_array_foreach(json_object_get(status, "peers"), i, item)
		json_array_append_new(peers, peer_rates(top, item));
	clock_gettime(CLOCK_REALTIME, &t);
	return json_pack("{s:I, s:O?, s:O?, s:O?, s:o, s:o}", "at_ms",
			 (json_int_t)t.tv_sec * 1000 + t.tv_nsec / 1000000, "node_id",
			 json_object_get(status, "node_id"), "ha_role",
			 json_object_get(status, "ha_role"), "sync_state",
			 json_object_get(status, "sync_state"), "tables", tables, "peers", peers);
}

/* --- the lag so far --------------------------------------------------------- */

static struct history *history_of(struct top *top, const char *id)
{
	size_t i;

	for (i = 0; i < top->n_peers; i++)
		if (!strcmp(top->peers[i].id, id))
			return &top->peers[i];
	if (i == PEERS_MAX)
		return NULL;
	snprintf(top->peers[i].id, sizeof(top->peers[i].id), "%s", id);
	return &top->peers[top->n_peers++];
}

static void remember(struct top *top, const json_t *peer)
{
	struct history *h = history_of(top, format_text(peer, "id"));
	bool is_up = json_is_true(json_object_get(peer, "connected"));

	if (!h)
		return;
	if (h->n == HISTORY)
		memmove(h->lags, h->lags + 1, --h->n * sizeof(h->lags[0]));
	h->lags[h->n++] = is_up ? json_number_value(json_object_get(peer, "lag_ms")) : -1;
}

/* As high as the greatest that is shown, but no less than a millisecond */
static void print_history(struct screen *s, const struct history *h)
{
	static const char *const blocks[] = { "▁", "▂", "▃", "▄",
					      "▅", "▆", "▇", "█" };
	static const char *const letters[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
	size_t room = screen_left(s), i;
	double max = 1;

	for (i = h->n > room ? h->n - room : 0; i < h->n; i++)
		max = h->lags[i] > max ? h->lags[i] : max;
	for (i = h->n > room ? h->n - room : 0; i < h->n; i++) {
		int level = (int)(h->lags[i] / max * 7 + 0.5);

		if (h->lags[i] < 0)
			screen_put(s, STYLE_BAD, "x");
		else
			screen_put(s, STYLE_PLAIN, "%s", (s->has_utf8 ? blocks : letters)[level]);
	}
}

/* --- the screen ------------------------------------------------------------- */

static char *format_rate(const json_t *value, char *buf)
{
	json_t *rounded;

	if (!json_is_number(value))
		return strcpy(buf, "-");
	rounded = json_integer((json_int_t)(json_number_value(value) + 0.5));
	format_count(rounded, buf);
	json_decref(rounded);
	return buf;
}

static void draw_head(const struct top *top, struct screen *s)
{
	const json_t *status = status_of(top->now), *module = json_object_get(status, "module");
	const struct state *state = state_of(status, "sync_state");
	char text[FORMAT_LEN], max[FORMAT_LEN];

	screen_put(s, STYLE_HEAD, "%s", format_text(status, "node_id"));
	screen_put(s, STYLE_PLAIN, "  %s  ", format_text(status, "ha_role"));
	screen_put(s, state->style, "%s", state->text);
	screen_put(s, STYLE_PLAIN, "  flows %s of %s",
		   format_count(json_object_get(module, "flows"), text),
		   format_count(json_object_get(module, "flows_max"), max));
	if (json_integer_value(json_object_get(status, "conflicts_pending")) > 0)
		screen_put(s, STYLE_BAD, "  %s conflicts pending",
			   format_count(json_object_get(status, "conflicts_pending"), text));
	screen_line(s);
	if (*top->error) {
		screen_put(s, STYLE_BAD, "%s", top->error);
		screen_line(s);
	}
	screen_line(s);
}

static void draw_tables(struct screen *s, const json_t *tables)
{
	static const struct {
		const char *key;
		int width;
		char *(*format)(const json_t *value, char *buf);
	} cells[] = { { "entries", 12, format_count },
		      { "out_per_s", 10, format_rate },
		      { "in_per_s", 10, format_rate } };
	char text[FORMAT_LEN];
	const json_t *table;
	size_t i, k;

	screen_cell(s, STYLE_DIM, -12, "table");
	screen_cell(s, STYLE_DIM, 12, "entries");
	screen_cell(s, STYLE_DIM, 10, "out/s");
	screen_cell(s, STYLE_DIM, 10, "in/s");
	screen_line(s);
	json_array_foreach(tables, i, table) {
		screen_cell(s, STYLE_PLAIN, -12, format_text(table, "table"));
		for (k = 0; k < sizeof(cells) / sizeof(cells[0]); k++)
			screen_cell(s, STYLE_PLAIN, cells[k].width,
				    cells[k].format(json_object_get(table, cells[k].key), text));
		screen_line(s);
	}
	screen_line(s);
}

static void draw_peer(struct top *top, struct screen *s, const json_t *peer)
{
	const struct history *h = history_of(top, format_text(peer, "id"));
	const struct state *state = state_of(peer, "state");
	char text[FORMAT_LEN];

	screen_cell(s, STYLE_HEAD, -12, format_text(peer, "id"));
	screen_cell(s, state->style, -12, state->text);
	screen_cell(s, STYLE_PLAIN, 8, format_ms(peers_lag(peer), text));
	screen_cell(s, STYLE_PLAIN, 9,
		    format_count(json_object_get(peer, "backlog_changes"), text));
	screen_cell(s, STYLE_PLAIN, 7,
		    format_bytes(json_object_get(peer, "tx_bytes_per_s"), text));
	screen_cell(s, STYLE_PLAIN, 7,
		    format_bytes(json_object_get(peer, "rx_bytes_per_s"), text));
	if (h)
		print_history(s, h);
	screen_line(s);
}

static void draw_peers(struct top *top, struct screen *s, const json_t *peers)
{
	const json_t *peer;
	size_t i;

	if (!json_array_size(peers))
		return;
	screen_cell(s, STYLE_DIM, -12, "peer");
	screen_cell(s, STYLE_DIM, -12, "state");
	screen_cell(s, STYLE_DIM, 8, "lag");
	screen_cell(s, STYLE_DIM, 9, "waits");
	screen_cell(s, STYLE_DIM, 7, "out/s");
	screen_cell(s, STYLE_DIM, 7, "in/s");
	screen_put(s, STYLE_DIM, "lag so far");
	screen_line(s);
	json_array_foreach(peers, i, peer)
		draw_peer(top, s, peer);
	screen_line(s);
}

static void draw_warnings(const struct top *top, struct screen *s)
{
	const json_t *warning;
	size_t i;

	json_array_foreach(json_object_get(status_of(top->now), "warnings"), i, warning) {
		screen_put(s, STYLE_WARN, "%s", json_string_value(warning));
		screen_line(s);
	}
}

/* There are no rates before the second answer, and then nothing to say. */
static void draw_json(const struct top *top, const json_t *all)
{
	if (*top->error) {
		cli_error(top->cli, CLI_UNREACHABLE, "%s", top->error);
	} else if (top->before) {
		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
	}
}

/* Return: false when nobody looks any more */
static bool draw(struct top *top, struct screen *s)
{
	json_t *all = picture(top);

	if (top->cli->json) {
		draw_json(top, all);
		json_decref(all);
		return !fflush(stdout);
	}
	screen_begin(s);
	draw_head(top, s);
	draw_tables(s, json_object_get(all, "tables"));
	draw_peers(top, s, json_object_get(all, "peers"));
	draw_warnings(top, s);
	json_decref(all);
	return screen_end(s);
}

/* --- the loop --------------------------------------------------------------- */

static int ask(struct top *top)
{
	struct cli quiet = *top->cli;
	const json_t *peer;
	json_t *answer;
	size_t i;
	int rc;

	quiet.error = top->error;
	rc = http_get(&quiet, "/api/replication/status", &answer);
	if (rc)
		return rc;
	top->error[0] = '\0';
	json_decref(top->before);
	top->before = top->now;
	top->before_s = top->now_s;
	top->now = answer;
	top->now_s = clock_s();
	json_array_foreach(json_object_get(status_of(answer), "peers"), i, peer)
		remember(top, peer);
	return CLI_OK;
}

/* @n: pictures, 0: until somebody quits */
static int loop(struct top *top, struct screen *s, long n)
{
	double every = top->cli->watch_s > 0 ? top->cli->watch_s : EVERY_S;
	enum screen_event event = SCREEN_TIME;
	long n_shown = 0;

	while (event != SCREEN_QUIT) {
		if (!draw(top, s))
			return CLI_FAILED;
		n_shown += event == SCREEN_TIME && (!top->cli->json || top->before);
		if (n && n_shown >= n)
			break;
		event = screen_wait(s, every);
		if (event == SCREEN_TIME)
			ask(top); /* what is wrong is shown, and it goes on */
	}
	return CLI_OK;
}

/* --count; 0: none was given */
static int parse_count(const struct cli *cli, long *n)
{
	const char *text = cli_flag(cli, "count");

	*n = 0;
	if (!text)
		return CLI_OK;
	if (*text && strlen(text) < 10 && !text[strspn(text, "0123456789")])
		*n = atol(text);
	if (!*n)
		return cli_usage(cli, "top", "--count: \"%.80s\" is no number from 1 on", text);
	return CLI_OK;
}

int top_run(struct cli *cli, int argc, char **argv)
{
	struct top *top = calloc(1, sizeof(*top));
	struct screen screen;
	int rc;
	long n;

	(void)argc;
	(void)argv;
	if (!top)
		return cli_error(cli, CLI_FAILED, "out of memory");
	top->cli = cli;
	rc = parse_count(cli, &n);
	if (!rc) {
		rc = ask(top);
		if (rc)
			cli_error(cli, rc, "%s", top->error);
	}
	if (!rc && screen_open(&screen, cli))
		rc = cli_error(cli, CLI_FAILED, "the terminal cannot be used");
	if (!rc) {
		rc = loop(top, &screen, n);
		screen_close(&screen);
	}
	json_decref(top->now);
	json_decref(top->before);
	free(top);
	return rc;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep events: what happened of late, and what happens */
#include "events.h"

#include "format.h"
#include "http.h"
#include "style.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PATH "/api/replication/events"
#define WAIT_S 50 /* the longest the agent waits */

/* Where following has got to */
struct follower {
	char instance[80];
	json_int_t next;
	bool is_begun; /* it has answered once */
	bool is_away; /* the agent, and that was told */
};

/* "Nov 26 23:48:11.123", as the journal has it */
static char *moment(const json_t *at_ms, char *buf)
{
	json_int_t ms = json_integer_value(at_ms);
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	localtime_r(&t, &tm);
	n = strftime(buf, FORMAT_LEN, "%b %d %H:%M:%S", &tm);
	snprintf(buf + n, FORMAT_LEN - n, ".%03d", (int)(ms % 1000));
	return buf;
}

static enum style style_of(const char *level)
{
	if (!strcmp(level, "error"))
		return STYLE_BAD;
	return strcmp(level, "warning") ? STYLE_PLAIN : STYLE_WARN;
}

/* The peer has a column of its own. */
static const char *text_of(const json_t *event)
{
	const char *peer = json_string_value(json_object_get(event, "peer"));
	const char *text = format_text(event, "text");
	size_t len = peer ? strlen(peer) : 0;

	return len && !strncmp(text, "peer ", 5) && !strncmp(text + 5, peer, len) &&
			       !strncmp(text + 5 + len, ": ", 2) ?
		       text + 5 + len + 2 :
		       text;
}

static void print_event(const struct cli *cli, const json_t *event)
{
	const json_t *peer = json_object_get(event, "peer");
	char at[FORMAT_LEN];

	printf("%s  ", moment(json_object_get(event, "at_ms"), at));
	style_print(cli, style_of(format_text(event, "level")), "%-13s",
		    format_text(event, "type"));
	if (json_is_string(peer))
		style_print(cli, STYLE_HEAD, "  %s", json_string_value(peer));
	style_print(cli, STYLE_PLAIN, "  %s\n", text_of(event));
}

static void print_missed(const struct cli *cli, const json_t *answer)
{
	char count[FORMAT_LEN];
	const json_t *n = json_object_get(answer, "missed");

	if (json_integer_value(n) > 0)
		style_print(cli, STYLE_DIM, "%s before these are no longer remembered\n",
			    format_count(n, count));
}

void events_print(const struct cli *cli, const json_t *events)
{
	const json_t *event;
	size_t i;

	json_array_foreach(events, i, event)
		print_event(cli, event);
}

/* One line for each with --json: there is no end to wait for. */
static void print_more(const struct cli *cli, const json_t *events)
{
	const json_t *event;
	size_t i;

	json_array_foreach(events, i, event) {
		if (cli->json) {
			json_dumpf(event, stdout, JSON_COMPACT);
			putchar('\n');
		} else {
			print_event(cli, event);
		}
	}
}

static int ask(const struct cli *cli, const struct follower *f, json_t **answer)
{
	struct http_request request = { "GET", PATH, NULL, WAIT_S + HTTP_TIMEOUT_S, NULL };
	char path[128];

	if (*f->instance) {
		snprintf(path, sizeof(path), PATH "?since=%lld&wait=%d", (long long)f->next,
			 WAIT_S);
		request.path = path;
	}
	return http_call(cli, &request, answer);
}

/* Another run of the agent counts anew: then all that it remembers is new. */
static void take(const struct cli *cli, struct follower *f, const json_t *answer)
{
	const char *instance = format_text(answer, "instance");
	bool is_other = *f->instance && strcmp(f->instance, instance) != 0;

	if (is_other) {
		*f->instance = '\0';
		return;
	}
	if (!cli->json)
		print_missed(cli, answer);
	print_more(cli, json_object_get(answer, "events"));
	snprintf(f->instance, sizeof(f->instance), "%s", instance);
	f->next = json_integer_value(json_object_get(answer, "next"));
}

/* Until a signal comes, or nobody reads. An agent that is restarted is waited for. */
static int follow(const struct cli *cli)
{
	const struct timespec pause = { .tv_nsec = 500000000 };
	char error[CLI_ERROR_LEN] = "";
	struct follower f = { 0 };
	struct cli quiet = *cli;
	json_t *answer;
	int rc;

	quiet.error = error;
	for (;;) {
		rc = ask(&quiet, &f, &answer);
		if (!rc) {
			f.is_begun = true;
			f.is_away = false;
			take(cli, &f, answer);
			json_decref(answer);
		} else if (!f.is_begun) {
			return cli_error(cli, rc, "%s", error);
		} else if (!f.is_away) {
			cli_error(cli, rc, "%s; waiting for it", error);
			f.is_away = true;
		}
		if (fflush(stdout))
			return CLI_FAILED;
		if (rc)
			nanosleep(&pause, NULL);
	}
}

int events_run(struct cli *cli, int argc, char **argv)
{
	const json_t *events;
	json_t *answer;
	int rc;

	(void)argc;
	(void)argv;
	if (cli_flag(cli, "follow") && cli->watch_s > 0)
		return cli_usage(cli, "events", "either --follow or --watch");
	if (cli_flag(cli, "follow"))
		return follow(cli);
	rc = http_get(cli, PATH, &answer);
	if (rc)
		return rc;
	events = json_object_get(answer, "events");
	if (cli->json) {
		http_show(cli, answer);
	} else {
		print_missed(cli, answer);
		events_print(cli, events);
		if (!json_array_size(events))
			puts("nothing happened");
	}
	json_decref(answer);
	return CLI_OK;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep resync: have everything sent again, and watch it go */
#include "format.h"
#include "http.h"
#include "peers.h"
#include "style.h"
#include "verbs.h"
#include "words.h"

#include <string.h>
#include <time.h>

#define PATH "/api/replication/resync"
#define BAR_LEN 30

/* "conntrack, nft_set" */
static void print_names(const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
		printf("%s%s", i ? ", " : "", json_string_value(name));
}

static double share(const json_t *job)
{
	double total = json_number_value(json_object_get(job, "buckets_total"));

	return total > 0 ?
		       json_number_value(json_object_get(job, "buckets")) / total :
		       0;
}

static void print_bar(const json_t *job)
{
	char left[FORMAT_LEN], rate[FORMAT_LEN];
	int n = (int)(share(job) * BAR_LEN);

	printf("\r[%.*s%*s] %3.0f %%  %s/s  %s left\033[K", n,
	       "##############################", BAR_LEN - n, "",
	       share(job) * 100,
	       format_bytes(json_object_get(job, "bytes_per_s"), rate),
	       format_ms(json_object_get(job, "left_ms"), left));
	fflush(stdout);
}

static void print_job(const struct cli *cli, const json_t *job)
{
	const char *state = format_text(job, "state");
	char text[FORMAT_LEN], total[FORMAT_LEN];
	bool is_failed = !strcmp(state, "failed");

	printf("resync %s  ", format_text(job, "id"));
	style_print(cli,
		    is_failed		       ? STYLE_BAD :
		    strcmp(state, "done") ? STYLE_WARN :
					    STYLE_GOOD,
		    "%s", state);
	fputs("  ", stdout);
	print_names(json_object_get(job, "tables"));
	fputs(" with ", stdout);
	print_names(json_object_get(job, "peers"));
	printf("\n%.0f %%, %s of %s records", share(job) * 100,
	       format_count(json_object_get(job, "records"), text),
	       format_count(json_object_get(job, "records_total"), total));
	printf(", %s", format_bytes(json_object_get(job, "bytes"), text));
	printf(", %s\n", format_ms(json_object_get(job, "elapsed_ms"), text));
	if (is_failed)
		printf("%s\n", format_text(job, "error"));
}

static int judge(const json_t *job)
{
	return strcmp(format_text(job, "state"), "failed") ? CLI_OK :
							     CLI_FAILED;
}

static int get(const struct cli *cli, const char *id, json_t **job)
{
	char path[128];

	snprintf(path, sizeof(path), PATH "/%.64s", id);
	return http_get(cli, path, job);
}

/* Until it is over; @job is replaced by what it is then. */
static int wait_for(const struct cli *cli, json_t **job)
{
	const struct timespec pause = { .tv_nsec = 200000000 };
	bool has_bar = cli->is_tty && !cli->json;
	char id[64];
	int rc;

	snprintf(id, sizeof(id), "%s", format_text(*job, "id"));
	while (!strcmp(format_text(*job, "state"), "running")) {
		if (has_bar)
			print_bar(*job);
		nanosleep(&pause, NULL);
		json_decref(*job);
		*job = NULL;
		rc = get(cli, id, job);
		if (rc)
			return rc;
	}
	if (has_bar)
		fputs("\r\033[K", stdout);
	return CLI_OK;
}

static int start(const struct cli *cli, json_t **job)
{
	struct http_request request = { "POST", PATH, NULL,
					HTTP_TIMEOUT_S, NULL };
	static const char *const keys[] = { "peer", "table" };
	const char *table = cli_flag(cli, "table");
	size_t i;
	int rc;

	rc = peers_check(cli, "resync", "--peer: ", cli_flag(cli, "peer"));
	if (!rc && table)
		rc = words_check_table(cli, "resync", "--table: ", table);
	if (rc)
		return rc;
	request.body = json_object();
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (cli_flag(cli, keys[i]))
			json_object_set_new(
				request.body, keys[i],
				json_string(cli_flag(cli, keys[i])));
	rc = peers_call(cli, &request, cli_flag(cli, "peer"), job);
	json_decref(request.body);
	return rc;
}

int resync_run(struct cli *cli, int argc, char **argv)
{
	json_t *job = NULL;
	int rc;

	if (argc > 2)
		return cli_usage(cli, "resync", "one resync at a time");
	if (argc == 2 && (!*argv[1] || argv[1][strspn(argv[1], "0123456789")]))
		return cli_usage(cli, "resync", "\"%s\" is no number", argv[1]);
	if (argc == 2 && (cli_flag(cli, "peer") || cli_flag(cli, "table")))
		return cli_usage(cli, "resync",
				 "--peer and --table are for a new one");
	if (cli->watch_s > 0 && argc < 2)
		return cli_usage(cli, "resync",
				 "--watch needs the number of one");
	rc = argc == 2 ? get(cli, argv[1], &job) : start(cli, &job);
	if (!rc && cli_flag(cli, "wait"))
		rc = wait_for(cli, &job);
	if (rc)
		return rc;
	if (cli->json)
		http_show(cli, job);
	else
		print_job(cli, job);
	rc = judge(job);
	json_decref(job);
	return rc;
}

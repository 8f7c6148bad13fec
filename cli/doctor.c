// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep doctor: run the checks, and tell what they found */
#include "doctor.h"

#include "format.h"
#include "http.h"
#include "style.h"
#include "verbs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const verdicts[DOCTOR_N] = { "ok", "warn", "bad", "skip" };
static const enum style styles[DOCTOR_N] = { STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_DIM };

static const struct doctor_check *const groups[] = {
	doctor_host_checks,
	doctor_kernel_checks,
	doctor_net_checks,
};

/* What was found may hold any bytes, as names of processes do. */
static json_t *text_json(char *text)
{
	json_t *json = json_string(text);
	char *at;

	if (json)
		return json;
	for (at = text; *at; at++)
		if (*at & 0x80)
			*at = '?';
	return json_string(text);
}

void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_array_append_new(d->findings,
			      json_pack("{s:s, s:s, s:o, s:n}", "name", d->name, "verdict",
					verdicts[verdict], "text", text_json(text), "remedy"));
}

void doctor_remedy(struct doctor *d, const char *fmt, ...)
{
	json_t *last = json_array_get(d->findings, json_array_size(d->findings) - 1);
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_object_set_new(last, "remedy", text_json(text));
}

/* --- output ----------------------------------------------------------------- */

static enum doctor_verdict verdict_of(const json_t *finding)
{
	const char *word = format_text(finding, "verdict");
	enum doctor_verdict v = DOCTOR_OK;

	while (v < DOCTOR_SKIP && strcmp(verdicts[v], word) != 0)
		v++;
	return v;
}

static void print_finding(const struct cli *cli, const json_t *finding)
{
	const json_t *remedy = json_object_get(finding, "remedy");
	enum doctor_verdict v = verdict_of(finding);

	style_print(cli, styles[v], "%-4s", verdicts[v]);
	style_print(cli, STYLE_HEAD, "  %-14s", format_text(finding, "name"));
	style_print(cli, STYLE_PLAIN, "  %s\n", format_text(finding, "text"));
	if (json_is_string(remedy))
		style_print(cli, STYLE_PLAIN, "%22s-> %s\n", "", json_string_value(remedy));
}

static int judge(const unsigned int n[DOCTOR_N])
{
	if (n[DOCTOR_BAD])
		return CLI_FAILED;
	return n[DOCTOR_WARN] ? CLI_DEGRADED : CLI_OK;
}

static int tell(const struct cli *cli, json_t *findings)
{
	unsigned int n[DOCTOR_N] = { 0 };
	const json_t *finding;
	json_t *answer;
	size_t i;

	json_array_foreach(findings, i, finding) {
		n[verdict_of(finding)]++;
		if (!cli->json)
			print_finding(cli, finding);
	}
	if (!cli->json) {
		printf("\n%u ok, %u to look at, %u bad, %u skipped\n", n[DOCTOR_OK],
		       n[DOCTOR_WARN], n[DOCTOR_BAD], n[DOCTOR_SKIP]);
		return judge(n);
	}
	answer = json_pack("{s:O, s:i, s:i, s:i, s:i}", "checks", findings, "ok",
			   (int)n[DOCTOR_OK], "warn", (int)n[DOCTOR_WARN], "bad",
			   (int)n[DOCTOR_BAD], "skip", (int)n[DOCTOR_SKIP]);
	http_show(cli, answer);
	json_decref(answer);
	return judge(n);
}

/* --- the checks ------------------------------------------------------------- */

static void run_all(struct doctor *d)
{
	const struct doctor_check *check;
	size_t i, n;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (check = groups[i]; check->name; check++) {
			d->name = check->name;
			n = json_array_size(d->findings);
			check->run(d);
			if (json_array_size(d->findings) == n)
				doctor_say(d, DOCTOR_BAD, "the check found nothing to say");
		}
	}
}

int doctor_run(struct cli *cli, int argc, char **argv)
{
	const char *path = cli_flag(cli, "config");
	char error[CLI_ERROR_LEN] = "";
	struct cli quiet = *cli;
	struct fr_config config;
	struct fr_diag diag;
	json_t *answer = NULL;
	struct doctor d = { .config_path = path ? path : FR_CONFIG_PATH,
			    .diag = &diag,
			    .status_error = error,
			    .findings = json_array() };
	int rc;

	(void)argc;
	(void)argv;
	uname(&d.uts);
	if (!fr_config_load(d.config_path, FR_CONFIG_SECRET_OPTIONAL, &config, &diag))
		d.config = &config;
	/* The socket is that of the configuration, unless told. */
	if (!cli_flag(cli, "socket") && !getenv("FLYREP_SOCKET") && d.config &&
	    d.config->api.socket)
		quiet.socket = d.config->api.socket;
	d.socket = quiet.socket;
	quiet.error = error;
	d.status_rc = http_get(&quiet, "/api/replication/status", &answer);
	d.status = d.status_rc ? NULL : json_object_get(answer, "status");
	run_all(&d);
	rc = tell(cli, d.findings);
	json_decref(answer);
	json_decref(d.findings);
	fr_diag_free(&diag);
	if (d.config)
		fr_config_free(&config);
	return rc;
}

// SPDX-License-Identifier: GPL-2.0-or-later

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "config.h"
#include "control.h"
#include "events.h"
#include "flow.h"
#include "log.h"
#include "witness.h"

#define SUMMARY_US 5000000
#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h: trying again will not help */

static const char usage[] =
	"Usage: flyrepd [OPTIONS]\n"
	"The flyrep agent: keeps this firewall's state alive on its peers.\n"
	"\n"
	"  -c, --config FILE   configuration, default " FR_CONFIG_PATH "\n"
	"      --witness       only a vote, for nodes elsewhere; the mode is witness\n"
	"  -v, --verbose       log more\n"
	"      --version       print the version\n"
	"  -h, --help          this text\n"
	"\n"
	"See flyrepd(8) and flyrep.hcl(5).\n";

struct options {
	const char *config_path;
	bool is_verbose;
	bool is_witness;
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "witness", no_argument, NULL, 'w' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{},
};

/* Return: -1 to go on, else the exit code. */
static int parse_options(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:vh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config_path = optarg;
			break;
		case 'v':
			o->is_verbose = true;
			break;
		case 'w':
			o->is_witness = true;
			break;
		case 'V':
			printf("flyrepd %s\n", FLYREP_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs("Try `flyrepd --help`.\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "flyrepd: unexpected argument: %s\n", argv[optind]);
		return 2;
	}
	return -1;
}

/* What runs, and what it was told to be. */
struct agent {
	const char *config_path;
	struct fr_config config;
	struct fr_config before;	/* of the last reload: some of it may still be in use */
	struct flow *flow;		/* a node, */
	struct control *control;
	struct witness *witness;	/* or this */
};

static int on_summary(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct agent *a = cookie;
	char text[300];

	(void)usec;
	if (a->witness)
		witness_summary(a->witness, text, sizeof(text));
	else
		control_summary(a->control, text, sizeof(text));
	sd_notifyf(0, "STATUS=%s", text);
	sd_event_source_set_time_relative(s, SUMMARY_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* The file anew; with any fault in it, nothing changes. */
static int load_next(const struct agent *a, struct fr_config *next)
{
	struct fr_diag diag;
	int rc = fr_config_load(a->config_path, 0, next, &diag);

	if (rc >= 0) {
		rc = fr_config_reload_check(&a->config, next, &diag);
		if (rc < 0)
			fr_config_free(next);
	}
	fr_diag_print(&diag, stderr);
	fr_diag_free(&diag);
	return rc;
}

/* Each goes by what it can, even if the other cannot. */
static int reload(struct agent *a)
{
	int flow_rc, rc;

	if (a->witness)
		return witness_reload(a->witness);
	flow_rc = flow_reload(a->flow);
	rc = control_reload(a->control);
	return flow_rc < 0 ? flow_rc : rc;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *cookie)
{
	struct agent *a = cookie;
	struct fr_config next;
	struct timespec now;
	int rc;

	(void)s;
	(void)si;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
		   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	if (load_next(a, &next) < 0) {
		fr_err("replication: not reloaded: %s has faults", a->config_path);
	} else {
		fr_config_free(&a->before);
		a->before = a->config;
		a->config = next;
		rc = reload(a);
		if (rc < 0)
			fr_err("replication: not all of %s was taken: %s", a->config_path,
			       strerror(-rc));
		else
			events_log(a->flow ? a->flow->events : NULL, EVENT_RELOAD, FR_LOG_NOTICE,
				   NULL, "replication: reloaded %s", a->config_path);
	}
	sd_notify(0, "READY=1");
	return 0;
}

static int watch_signals(sd_event *event, struct agent *a)
{
	sigset_t set;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	rc = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (rc >= 0)
		rc = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	return rc < 0 ? rc : sd_event_add_signal(event, NULL, SIGHUP, on_hangup, a);
}

static int start(struct agent *a, sd_event *event)
{
	int rc;

	if (a->config.mode == FR_CONFIG_WITNESS)
		return witness_new(&a->witness, event, &a->config);
	rc = flow_new(&a->flow, event, &a->config);
	return rc < 0 ? rc : control_new(&a->control, event, a->flow, &a->config);
}

static int serve(struct agent *a)
{
	const struct fr_config *config = &a->config;
	sd_event_source *summary = NULL;
	sd_event *event = NULL;
	int rc;

	rc = sd_event_new(&event);
	/* No thread of ours shall get a signal. */
	if (rc >= 0)
		rc = watch_signals(event, a);
	if (rc >= 0)
		rc = start(a, event);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, &summary, CLOCK_MONOTONIC, 0, 0, on_summary,
						a);
	if (rc >= 0) {
		sd_event_set_watchdog(event, true);
		sd_notify(0, "READY=1");
		if (a->witness)
			fr_info("replication: node %s, witness, flyrep %s", config->node_id,
				FLYREP_VERSION);
		rc = sd_event_loop(event);
		sd_notify(0, "STOPPING=1");
	}
	sd_event_source_disable_unref(summary);
	control_free(a->control);
	flow_free(a->flow);
	witness_free(a->witness);
	sd_event_unref(event);
	return rc;
}

/* Neither is ever taken for the other. */
static bool is_fit(const struct options *o, const struct fr_config *config)
{
	bool is_witness = config->mode == FR_CONFIG_WITNESS;

	if (o->is_witness == is_witness)
		return true;
	fprintf(stderr, "flyrepd: %s: the mode is %s: run flyrepd %s --witness\n", o->config_path,
		fr_config_mode_name(config->mode), o->is_witness ? "without" : "with");
	return false;
}

int main(int argc, char **argv)
{
	struct options o = { .config_path = FR_CONFIG_PATH };
	struct agent a = { 0 };
	struct fr_diag diag;
	int rc = parse_options(&o, argc, argv);

	if (rc >= 0)
		return rc;
	fr_log_open("flyrepd", o.is_verbose ? FR_LOG_DEBUG : FR_LOG_INFO);
	a.config_path = o.config_path;
	rc = fr_config_load(a.config_path, 0, &a.config, &diag);
	fr_diag_print(&diag, stderr);
	fr_diag_free(&diag);
	if (rc < 0)
		return EXIT_CONFIG;
	if (!is_fit(&o, &a.config)) {
		fr_config_free(&a.config);
		return EXIT_CONFIG;
	}
	rc = serve(&a);
	if (rc < 0)
		fr_err("replication: cannot go on: %s", strerror(-rc));
	fr_config_free(&a.before);
	fr_config_free(&a.config);
	return rc < 0;
}

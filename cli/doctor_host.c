// SPDX-License-Identifier: GPL-2.0-or-later
/* Checks of the agent, its files and the machine it runs on */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "format.h"
#include "probe.h"
#include "state.h"

#define DISK_BAD (64ull << 20)
#define DISK_WARN (512ull << 20)
#define TOLERANCE_MS 100 /* unless the configuration says otherwise */

/* --- the agent -------------------------------------------------------------- */

static void check_agent(struct doctor *d)
{
	const char *version = format_text(d->status, "version");

	if (d->status && strcmp(version, FLYREP_VERSION) != 0) {
		doctor_say(d, DOCTOR_WARN, "version %s runs, this is " FLYREP_VERSION, version);
		doctor_remedy(d, "systemctl restart flyrep, on a backup first");
	} else if (d->status) {
		doctor_say(d, DOCTOR_OK, "version %s answers at %s", version, d->socket);
	} else {
		doctor_say(d, DOCTOR_BAD, "%s", d->status_error);
		if (d->status_rc == CLI_DENIED)
			doctor_remedy(d, "usermod -aG flyrep YOU, and log in again");
		else
			doctor_remedy(d, "systemctl start flyrep; if it does not stay: journalctl "
					 "-u flyrep");
	}
}

static bool is_member(gid_t group)
{
	gid_t groups[256];
	int i, n = getgroups(256, groups);

	for (i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return getegid() == group;
}

static void check_group(struct doctor *d)
{
	const struct group *group = getgrnam("flyrep");
	const struct passwd *user = getpwuid(getuid());

	if (!group) {
		doctor_say(d, DOCTOR_WARN, "there is no group flyrep: only root may ask the agent");
		doctor_remedy(d, "systemd-sysusers, then systemctl restart flyrep");
	} else if (geteuid() && !is_member(group->gr_gid)) {
		doctor_say(d, DOCTOR_BAD, "you are not in the group flyrep");
		doctor_remedy(d, "usermod -aG flyrep %s, and log in again",
			      user ? user->pw_name : "YOU");
	} else {
		doctor_say(d, DOCTOR_OK, geteuid() ? "you are in the group flyrep" :
						     "there is one, and you are root");
	}
}

static void check_config(struct doctor *d)
{
	const struct fr_diag *diag = d->diag;
	char text[400];
	size_t i;

	if (access(d->config_path, R_OK) && errno == EACCES) {
		doctor_say(d, DOCTOR_WARN,
			   "%s is not yours to read, so only part of this is checked",
			   d->config_path);
		doctor_remedy(d, "run flyrep doctor as root");
		return;
	}
	for (i = 0; i < diag->n_entries; i++) {
		bool is_error = diag->entries[i].severity == FR_DIAG_ERROR;

		fr_diag_format(diag, &diag->entries[i], text, sizeof(text));
		doctor_say(d, is_error ? DOCTOR_BAD : DOCTOR_WARN, "%s", text);
		if (strstr(text, "may read it"))
			doctor_remedy(d, "chmod 600, and a new secret if others may have seen it");
		else if (strstr(text, "few for a secret"))
			doctor_remedy(d, "openssl rand -base64 33, on all nodes; meanwhile "
					 "previous_secret_keys takes the old one");
		else if (!d->config && access(d->config_path, F_OK))
			doctor_remedy(d, "write one: flyrep.hcl(5) has examples");
		else
			doctor_remedy(d, "correct it: see flyrep.hcl(5)");
	}
	if (!diag->n_entries)
		doctor_say(d, DOCTOR_OK, "%s is sound", d->config_path);
}

/* --- what the agent says ---------------------------------------------------- */

static void check_sets(struct doctor *d)
{
	const json_t *sets = json_object_get(d->status, "nft_sets"), *set;
	size_t i, n = json_array_size(d->findings);

	json_array_foreach(sets, i, set) {
		if (!json_string_length(json_object_get(set, "trouble")))
			continue;
		doctor_say(d, DOCTOR_WARN, "%s: %s", format_text(set, "set"),
			   format_text(set, "trouble"));
		doctor_remedy(d, "the same ruleset on all nodes: load it here, then flyrep resync");
	}
	if (!d->status)
		doctor_say(d, DOCTOR_SKIP, "not known without the agent");
	else if (json_array_size(d->findings) == n)
		doctor_say(d, DOCTOR_OK, json_array_size(sets) ? "all are there" :
								 "none are replicated");
}

/* Warnings that no other check tells */
static bool is_told_here(const char *warning)
{
	return strncmp(warning, "nft set ", 8) != 0 && !strstr(warning, "tcp_be_liberal");
}

static void check_status(struct doctor *d)
{
	const struct state *state = state_of(d->status, "sync_state");
	size_t i, n = json_array_size(d->findings);
	const json_t *warning;

	if (!d->status) {
		doctor_say(d, DOCTOR_SKIP, "not known without the agent");
		return;
	}
	if (state->is_degraded) {
		doctor_say(d, DOCTOR_WARN, "the node is %s", state->text);
		doctor_remedy(d, "flyrep status and flyrep events tell more");
	}
	json_array_foreach(json_object_get(d->status, "warnings"), i, warning) {
		if (!is_told_here(json_string_value(warning)))
			continue;
		doctor_say(d, DOCTOR_WARN, "%s", json_string_value(warning));
		doctor_remedy(d, "flyrep status and flyrep events tell more");
	}
	if (json_array_size(d->findings) == n)
		doctor_say(d, DOCTOR_OK, "%s, without warnings", state->text);
}

/* --- time and room ---------------------------------------------------------- */

static long long tolerance_ms(const struct doctor *d)
{
	return d->config ? (long long)d->config->conflict_resolution.clock_skew_tolerance_ms :
			   TOLERANCE_MS;
}

static void check_offset(struct doctor *d, const json_t *peer)
{
	long long offset = json_integer_value(json_object_get(peer, "clock_offset_ms"));

	if (llabs(offset) <= tolerance_ms(d) * 8 / 10)
		return;
	doctor_say(d, DOCTOR_WARN, "the clock of %s is %lld ms %s", format_text(peer, "id"),
		   llabs(offset), offset > 0 ? "ahead" : "behind");
	doctor_remedy(d, "NTP on both nodes");
}

static void check_clock(struct doctor *d)
{
	size_t i, n = json_array_size(d->findings);
	struct timex tx = { 0 };
	const json_t *peer;

	if (adjtimex(&tx) == TIME_ERROR || tx.status & STA_UNSYNC) {
		doctor_say(d, DOCTOR_WARN, "nothing keeps the clock right");
		doctor_remedy(d, "apt install systemd-timesyncd, or chrony");
	}
	json_array_foreach(json_object_get(d->status, "peers"), i, peer)
		check_offset(d, peer);
	if (json_array_size(d->findings) == n)
		doctor_say(d, DOCTOR_OK, "kept right, and as on the peers");
}

static void check_disk(struct doctor *d)
{
	const char *dir = d->config && d->config->state_dir ? d->config->state_dir :
							      "/var/lib/flyrep";
	struct statvfs fs;
	uint64_t left;

	if (statvfs(dir, &fs)) {
		doctor_say(d, errno == EACCES ? DOCTOR_WARN : DOCTOR_BAD, "%s: %s", dir,
			   strerror(errno));
		doctor_remedy(d, errno == EACCES ? "run flyrep doctor as root" :
						   "systemctl start flyrep makes it");
		return;
	}
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	doctor_say(d, left < DISK_BAD  ? DOCTOR_BAD :
		      left < DISK_WARN ? DOCTOR_WARN :
					 DOCTOR_OK,
		   "%" PRIu64 " MB left in %s", left / 1000000, dir);
	if (left < DISK_WARN)
		doctor_remedy(d, "make room, or lower recovery.incremental.max_checkpoints and "
				 "backup_retention");
}

/* --- keepalived ------------------------------------------------------------- */

/* What the files of a directory, and of those in it, say */
struct mentions {
	unsigned int n_files, n_read, n_calls;
};

static void look_into(const char *dir_path, int depth, struct mentions *m)
{
	DIR *dir = opendir(dir_path);
	struct dirent *entry;
	char path[512], *text;

	while (dir && (entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');

		snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
		if (entry->d_type == DT_DIR && depth && entry->d_name[0] != '.')
			look_into(path, depth - 1, m);
		if (entry->d_type == DT_DIR || !dot || strcmp(dot, ".conf") != 0)
			continue;
		text = probe_slurp(path);
		m->n_files++;
		m->n_read += !!text;
		m->n_calls += text && strstr(text, "flyrep");
		free(text);
	}
	if (dir)
		closedir(dir);
}

static void check_keepalived(struct doctor *d)
{
	struct mentions m = { 0 };

	look_into("/etc/keepalived", 1, &m);
	if (m.n_calls) {
		doctor_say(d, DOCTOR_OK, "it calls flyrep");
	} else if (m.n_read < m.n_files) {
		doctor_say(d, DOCTOR_WARN, "/etc/keepalived is not yours to read");
		doctor_remedy(d, "run flyrep doctor as root");
	} else if (m.n_files) {
		doctor_say(d, DOCTOR_BAD, "it moves addresses, and does not call flyrep");
		doctor_remedy(d, "notify_master \"flyrep role primary\", notify_backup \"flyrep "
				 "role backup\", notify_fault \"flyrep role fault\", and flyrep ready "
				 "as its vrrp_script");
	} else {
		doctor_say(d, DOCTOR_OK, "not configured here: what moves the addresses has to "
			   "call flyrep role");
	}
}

const struct doctor_check doctor_host_checks[] = {
	{ "agent", check_agent }, { "group", check_group },   { "configuration", check_config },
	{ "status", check_status }, { "nft sets", check_sets }, { "clock", check_clock },
	{ "disk", check_disk },	  { "keepalived", check_keepalived }, { 0 },
};

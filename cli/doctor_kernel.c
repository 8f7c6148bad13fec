// SPDX-License-Identifier: GPL-2.0-or-later
/* Checks of the kernel, and of the module in it */
#include "doctor.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format.h"
#include "probe.h"

#define MODULE "/sys/module/flyrep"
#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define MOK "/var/lib/dkms/mok.pub"

/* The oldest that works, and the newest that was tested */
#define OLDEST_MAJOR 6
#define OLDEST_MINOR 1
#define TESTED_MAJOR 7
#define TESTED_MINOR 3

bool doctor_has_module(void)
{
	return !access(MODULE, F_OK);
}

/* Is there one for a kernel, on the disk */
static bool is_built(const char *release)
{
	char path[300];
	char *text;
	bool is;

	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
	text = probe_slurp(path);
	is = text && probe_has_module(text, "flyrep");
	free(text);
	return is;
}

static bool has_headers(const char *release)
{
	char path[300];

	snprintf(path, sizeof(path), "/lib/modules/%s/build/Makefile", release);
	return !access(path, F_OK);
}

static void build_remedy(struct doctor *d, const char *release)
{
	if (has_headers(release))
		doctor_remedy(d, "dkms autoinstall -k %s", release);
	else
		doctor_remedy(d, "apt install linux-headers-%s, then dkms autoinstall -k %s",
			      release, release);
}

static void check_module(struct doctor *d)
{
	char version[64];
	ssize_t n = probe_read(MODULE "/version", version, sizeof(version));

	version[n > 0 ? strcspn(version, "\n") : 0] = '\0';
	if (!doctor_has_module() && is_built(d->uts.release)) {
		doctor_say(d, DOCTOR_BAD, "not loaded");
		doctor_remedy(d, "modprobe flyrep, and dmesg if it is refused");
	} else if (!doctor_has_module()) {
		doctor_say(d, DOCTOR_BAD, "not loaded, and there is none for kernel %s",
			   d->uts.release);
		build_remedy(d, d->uts.release);
	} else if (strcmp(version, FLYREP_VERSION) != 0) {
		doctor_say(d, DOCTOR_WARN, "version %s is loaded, this is " FLYREP_VERSION,
			   *version ? version : "unknown");
		doctor_remedy(d, "on a backup: systemctl stop flyrep, modprobe -r flyrep, modprobe "
				 "flyrep, systemctl start flyrep");
	} else {
		doctor_say(d, DOCTOR_OK, "version %s is loaded", version);
	}
}

static bool file_has(const char *path, const char *what)
{
	char text[256];

	return probe_read(path, text, sizeof(text)) > 0 && strstr(text, what);
}

/* Would this kernel refuse what is not signed */
static bool is_enforced(void)
{
	return file_has("/sys/module/module/parameters/sig_enforce", "Y") ||
	       file_has("/sys/kernel/security/lockdown", "[integrity]") ||
	       file_has("/sys/kernel/security/lockdown", "[confidentiality]");
}

/* 1: on, 0: off, -1: this machine has none */
static int secure_boot(void)
{
	char value[16];
	ssize_t n = probe_read(SECURE_BOOT, value, sizeof(value));

	return n < 5 ? -1 : value[4] == 1;
}

static void check_signature(struct doctor *d)
{
	const char *boot = secure_boot() > 0  ? "Secure Boot is on" :
			   secure_boot() == 0 ? "Secure Boot is off" :
						"no Secure Boot here";

	if (!doctor_has_module() && is_enforced()) {
		doctor_say(d, DOCTOR_BAD, "%s, and this kernel loads signed modules only", boot);
		if (access(MOK, F_OK))
			doctor_remedy(d, "let DKMS make its key (dkms generate_mok), then mokutil "
					 "--import " MOK ", reboot, and enroll it");
		else
			doctor_remedy(d, "mokutil --import " MOK ", reboot, and enroll the key at "
					 "the blue screen");
	} else if (!doctor_has_module()) {
		doctor_say(d, DOCTOR_OK, "%s, and this kernel does not insist on signatures",
			   boot);
	} else if (!file_has(MODULE "/taint", "E")) {
		doctor_say(d, DOCTOR_OK, "the module is signed; %s", boot);
	} else if (secure_boot() > 0) {
		doctor_say(d, DOCTOR_WARN, "the module is not signed, though %s", boot);
		doctor_remedy(d, "mokutil --import " MOK ", reboot, and enroll the key: a stricter "
				 "kernel will refuse the module");
	} else {
		doctor_say(d, DOCTOR_OK, "the module is not signed, and need not be: %s", boot);
	}
}

/* --- kernels ---------------------------------------------------------------- */

static void check_kernel(struct doctor *d)
{
	unsigned int major = 0, minor = 0;

	if (!probe_release(d->uts.release, &major, &minor)) {
		doctor_say(d, DOCTOR_WARN, "\"%s\" is no release that is known", d->uts.release);
		doctor_remedy(d, "a kernel from %d.%d on", OLDEST_MAJOR, OLDEST_MINOR);
	} else if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR)) {
		doctor_say(d, DOCTOR_BAD, "%s is too old", d->uts.release);
		doctor_remedy(d, "a kernel from %d.%d on", OLDEST_MAJOR, OLDEST_MINOR);
	} else if (major > TESTED_MAJOR || (major == TESTED_MAJOR && minor > TESTED_MINOR)) {
		doctor_say(d, DOCTOR_WARN, "%s is newer than any that was tested",
			   d->uts.release);
		doctor_remedy(d, "try it on a backup first");
	} else {
		doctor_say(d, DOCTOR_OK, "%s", d->uts.release);
	}
}

static void check_option(struct doctor *d, const char *text, const char *option)
{
	if (probe_option(text, option))
		return;
	doctor_say(d, DOCTOR_BAD, "%s is not set in kernel %s", option, d->uts.release);
	doctor_remedy(d, "a kernel that has it, as those of Debian do");
}

static void check_options(struct doctor *d)
{
	static const char *const needed[] = { "CONFIG_NF_CONNTRACK", "CONFIG_NF_CONNTRACK_EVENTS",
					      "CONFIG_NF_CT_NETLINK" };
	size_t i, n = json_array_size(d->findings);
	char path[128], *text;

	snprintf(path, sizeof(path), "/boot/config-%s", d->uts.release);
	text = probe_slurp(path);
	if (!text && doctor_has_module()) {
		doctor_say(d, DOCTOR_OK, "there is no %s; the module is loaded, so it has what is "
			   "needed", path);
		return;
	}
	if (!text) {
		doctor_say(d, DOCTOR_WARN, "%s cannot be read", path);
		doctor_remedy(d, "see whether the kernel has CONFIG_NF_CONNTRACK_EVENTS");
		return;
	}
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		check_option(d, text, needed[i]);
	if (!probe_option(text, "CONFIG_KPROBES")) {
		doctor_say(d, DOCTOR_WARN,
			   "without CONFIG_KPROBES elements of nft sets are not told");
		doctor_remedy(d, "a kernel with kprobes, if nft sets are replicated");
	}
	if (json_array_size(d->findings) == n)
		doctor_say(d, DOCTOR_OK, "has all that is needed");
	free(text);
}

/* The newest of those that are installed, which is what the next boot takes */
static void newest_kernel(char *newest, size_t len)
{
	DIR *dir = opendir("/lib/modules");
	struct dirent *entry;
	char path[300];

	*newest = '\0';
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/lib/modules/%s/modules.order", entry->d_name);
		if (entry->d_name[0] != '.' && !access(path, F_OK) &&
		    strverscmp(entry->d_name, newest) > 0)
			snprintf(newest, len, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static void check_dkms(struct doctor *d)
{
	char newest[256];

	newest_kernel(newest, sizeof(newest));
	if (!*newest) {
		doctor_say(d, DOCTOR_SKIP, "no kernel in /lib/modules, so nothing to build for");
	} else if (!is_built(newest)) {
		doctor_say(d, doctor_has_module() ? DOCTOR_WARN : DOCTOR_BAD,
			   "there is no module for %s, the newest kernel here: the next "
			   "boot may be without", newest);
		build_remedy(d, newest);
	} else if (strcmp(newest, d->uts.release) != 0 && !is_built(d->uts.release)) {
		doctor_say(d, DOCTOR_WARN, "there is no module on the disk for %s, which runs",
			   d->uts.release);
		build_remedy(d, d->uts.release);
	} else {
		doctor_say(d, DOCTOR_OK, "there is a module for %s%s%s", d->uts.release,
			   strcmp(newest, d->uts.release) ? " and " : "",
			   strcmp(newest, d->uts.release) ? newest : "");
	}
}

/* --- settings --------------------------------------------------------------- */

/* What must not be 0, and what is lost if it is */
static const struct setting {
	const char *key;
	enum doctor_verdict verdict;
	const char *lost;
} settings[] = {
	{ "net.netfilter.nf_conntrack_events", DOCTOR_BAD, "the ends of flows are not told" },
	{ "kernel.ftrace_enabled", DOCTOR_WARN, "changes of nft sets by nft are not told" },
	{ "debug.kprobes-optimization", DOCTOR_WARN,
	  "what packets do to nft sets is told at a high price" },
};

static int read_setting(const char *key, long long *n)
{
	char path[128], *at;

	snprintf(path, sizeof(path), "/proc/sys/%s", key);
	for (at = path; *at; at++)
		if (*at == '.')
			*at = '/';
	return probe_number(path, n);
}

static void check_settings(struct doctor *d)
{
	size_t i, n = json_array_size(d->findings);
	bool is_shared = d->config && (d->config->mode == FR_CONFIG_ACTIVE_ACTIVE ||
				       d->config->mode == FR_CONFIG_MULTI_MASTER);
	long long value;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (read_setting(settings[i].key, &value) || value)
			continue;
		doctor_say(d, settings[i].verdict, "%s = 0: %s", settings[i].key,
			   settings[i].lost);
		doctor_remedy(d, "sysctl -w %s=1, and in /etc/sysctl.d", settings[i].key);
	}
	if (is_shared && !read_setting("net.netfilter.nf_conntrack_tcp_be_liberal", &value) &&
	    !value) {
		doctor_say(d, DOCTOR_BAD, "net.netfilter.nf_conntrack_tcp_be_liberal = 0: a "
			   "connection that moves to another node and back may stall");
		doctor_remedy(d, "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1, and in "
				 "/etc/sysctl.d, on all nodes");
	}
	if (json_array_size(d->findings) == n)
		doctor_say(d, DOCTOR_OK, "all as they should be");
}

/* A node that takes over has to have room for all that another one had. */
static void compare_room(struct doctor *d, long long max)
{
	const json_t *peer;
	long long theirs;
	size_t i;

	json_array_foreach(json_object_get(d->status, "peers"), i, peer) {
		theirs = json_integer_value(json_object_get(peer, "flows_max"));
		if (!theirs || theirs == max)
			continue;
		doctor_say(d, theirs > max ? DOCTOR_BAD : DOCTOR_WARN,
			   "net.netfilter.nf_conntrack_max is %lld here, and %lld on %s", max,
			   theirs, format_text(peer, "id"));
		doctor_remedy(d, "the same on all nodes, in /etc/sysctl.d");
	}
}

static void check_room(struct doctor *d)
{
	long long n, max = 0;

	if (read_setting("net.netfilter.nf_conntrack_count", &n) ||
	    read_setting("net.netfilter.nf_conntrack_max", &max) || max <= 0) {
		doctor_say(d, DOCTOR_WARN, "there is no connection tracking here");
		doctor_remedy(d, "modprobe nf_conntrack; a rule that tracks asks for it, too");
	} else if (n > max - max / 10) {
		doctor_say(d, DOCTOR_WARN, "%lld of %lld flows: the table is nearly full", n, max);
		doctor_remedy(d, "a higher net.netfilter.nf_conntrack_max, the same on all nodes");
	} else {
		doctor_say(d, DOCTOR_OK, "%lld of %lld flows", n, max);
	}
	if (max > 0)
		compare_room(d, max);
}

const struct doctor_check doctor_kernel_checks[] = {
	{ "kernel", check_kernel },	   { "kernel config", check_options },
	{ "module", check_module },	   { "signature", check_signature },
	{ "dkms", check_dkms },		   { "sysctl", check_settings },
	{ "conntrack room", check_room }, { 0 },
};

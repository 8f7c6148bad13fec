/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor - what is wrong with this machine, for replication, and what to do about it
 *
 * A check looks at one thing and says what it found, at least once: doctor_say(), and
 * doctor_remedy() behind it unless all is well. It changes nothing, needs no agent, and says
 * so where it needs to be root.
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <jansson.h>
#include <sys/utsname.h>

#include "cli.h"
#include "config.h"

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_WARN, /* works, but not always, or not for long */
	DOCTOR_BAD, /* does not work */
	DOCTOR_SKIP, /* was not looked at, for a reason that another check tells */
	DOCTOR_N,
};

struct doctor {
	struct utsname uts;
	const char *config_path;
	const struct fr_config *config; /* NULL: there is none that can be read */
	const struct fr_diag *diag; /* of it */
	const char *socket;
	const json_t *status; /* what the agent says; NULL: it does not */
	int status_rc; /* enum cli_exit */
	const char *status_error;

	/* doctor.c's own */
	const char *name; /* of the check that runs */
	json_t *findings;
};

struct doctor_check {
	const char *name;
	void (*run)(struct doctor *d);
};

/* Each ends with a row without a name. */
extern const struct doctor_check doctor_kernel_checks[];
extern const struct doctor_check doctor_net_checks[];
extern const struct doctor_check doctor_host_checks[];

void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What to do about what was said last. */
void doctor_remedy(struct doctor *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Is the module there, in the kernel that runs */
bool doctor_has_module(void);

#endif

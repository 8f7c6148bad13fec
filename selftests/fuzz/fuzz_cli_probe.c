// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What doctor reads: any text is a line of /proc/net/tcp, a kernel's configuration, a list of modules and a
 * ruleset, or none of them; what is found is in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static void on_rule(void *cookie, const char *where)
{
	++*(size_t *)cookie;
	must(strlen(where) < 256 && strstr(where, ", handle "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned int major, minor;
	char *text = malloc(len + 1);
	struct probe_socket s;
	size_t n_rules = 0;
	json_t *ruleset;

	must(!!text);
	memcpy(text, data, len);
	text[len] = '\0';
	must(!probe_option(text, "CONFIG_NF_CONNTRACK") || strstr(text, "CONFIG_NF_CONNTRACK="));
	must(!probe_has_module(text, "flyrep") || strstr(text, "flyrep.ko"));
	must(!probe_socket(text, &s) || strchr(text, ':'));
	must(!probe_release(text, &major, &minor) || (major < 100000 && minor < 100000));
	ruleset = json_loads(text, 0, NULL);
	probe_masquerades(ruleset, on_rule, &n_rules);
	must(!n_rules || strstr(text, "masquerade") || strstr(text, "MASQUERADE") ||
	     strchr(text, '\\'));
	json_decref(ruleset);
	free(text);
	return 0;
}

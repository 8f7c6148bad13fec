// SPDX-License-Identifier: GPL-2.0-or-later
/* Checks of the network: who else reads events, what the ruleset does, whose ports are taken */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "address.h"
#include "format.h"
#include "probe.h"

#define API_PORT 8080

/* --- who else --------------------------------------------------------------- */

static void check_readers(struct doctor *d)
{
	const json_t *module = json_object_get(d->status, "module");
	const char *capture = format_text(module, "capture");
	pid_t pid = probe_process("conntrackd");

	if (pid) {
		doctor_say(d, DOCTOR_WARN, "conntrackd runs beside (process %d): both write what "
			   "peers have", (int)pid);
		doctor_remedy(d,
			      "once flyrep status says in sync: systemctl disable --now conntrackd");
	} else if (!strcmp(capture, "netlink")) {
		doctor_say(d, DOCTOR_OK,
			   "another module has the event notifier: captured by netlink");
	} else if (!strcmp(capture, "none")) {
		doctor_say(d, DOCTOR_BAD, "the module captures nothing");
		doctor_remedy(d, "dmesg tells why; flyrep events tells since when");
	} else {
		doctor_say(d, DOCTOR_OK, "nobody else replicates flows");
	}
}

/* --- the ruleset ------------------------------------------------------------ */

/* What nft says, as the caller frees it; NULL: it says nothing */
static json_t *read_ruleset(int *status)
{
	FILE *pipe = popen("PATH=/usr/sbin:/sbin:$PATH nft -j list ruleset 2>/dev/null", "re");
	json_t *ruleset;

	if (!pipe)
		return NULL;
	ruleset = json_loadf(pipe, JSON_DISABLE_EOF_CHECK, NULL);
	*status = pclose(pipe);
	return ruleset;
}

static void on_masquerade(void *cookie, const char *where)
{
	struct doctor *d = cookie;

	doctor_say(d, DOCTOR_WARN, "%s masquerades: behind an address that another node does not "
		   "have, flows end at a takeover", where);
	doctor_remedy(d, "snat to the address that moves, instead of masquerade");
}

static void check_nat(struct doctor *d)
{
	size_t n = json_array_size(d->findings);
	int status = -1;
	json_t *ruleset = read_ruleset(&status);

	probe_masquerades(ruleset, on_masquerade, d);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		doctor_say(d, DOCTOR_SKIP, "there is no nft here");
	} else if (!ruleset || status) {
		doctor_say(d, DOCTOR_WARN, "nft does not tell the ruleset");
		doctor_remedy(d, "run flyrep doctor as root");
	} else if (json_array_size(d->findings) == n) {
		doctor_say(d, DOCTOR_OK, "no rule masquerades");
	}
	json_decref(ruleset);
}

/* --- ports ------------------------------------------------------------------ */

struct port {
	const char *key; /* of the configuration */
	bool is_udp;
	uint16_t port; /* 0: none is wanted */
};

/* Who listens there; inode 0: nobody */
static struct probe_socket find_socket(const struct port *port)
{
	static const char *const paths[2][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
						 { "/proc/net/udp", "/proc/net/udp6" } };
	struct probe_socket s;
	char *text, *rest, *line;
	size_t i;

	for (i = 0; i < 2; i++) {
		text = rest = probe_slurp(paths[port->is_udp][i]);
		while ((line = strsep(&rest, "\n"))) {
			if (!probe_socket(line, &s) || s.port != port->port || !s.inode ||
			    (!port->is_udp && s.state != PROBE_LISTENS))
				continue;
			free(text);
			return s;
		}
		free(text);
	}
	return (struct probe_socket){ 0 };
}

static void check_port(struct doctor *d, const struct port *port)
{
	const char *name = port->is_udp ? "UDP" : "TCP";
	char owner[PROBE_NAME_LEN];
	struct probe_socket s;
	pid_t pid;

	if (!port->port)
		return;
	s = find_socket(port);
	if (!s.inode)
		return;
	pid = probe_owner(s.inode, owner);
	if (pid && !strcmp(owner, "flyrepd"))
		return;
	if (pid) {
		doctor_say(d, DOCTOR_BAD, "%s port %u is taken by %s (process %d)", name,
			   port->port, owner, (int)pid);
		doctor_remedy(d, "stop it, or another %s", port->key);
	} else if (!d->status) {
		doctor_say(d, DOCTOR_WARN, "%s port %u is taken, and the agent does not answer",
			   name, port->port);
		doctor_remedy(d, "run flyrep doctor as root to see by whom");
	}
}

static uint16_t port_of(const struct fr_address *address, uint16_t otherwise)
{
	return address && address->sa_len ? fr_address_port(address) : otherwise;
}

static void check_ports(struct doctor *d)
{
	const struct fr_config *c = d->config;
	const struct port ports[] = {
		{ "listen_addr", false,
		  c ? port_of(&c->listen_addr, 0) : (uint16_t)FR_CONFIG_PORT },
		{ "heartbeat.listen", true,
		  port_of(c ? &c->heartbeat.listen : NULL, FR_CONFIG_HEARTBEAT_PORT) },
		{ "api.listen", false, API_PORT },
	};
	size_t i, n = json_array_size(d->findings);

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		check_port(d, &ports[i]);
	if (json_array_size(d->findings) == n)
		doctor_say(d, DOCTOR_OK, "none is taken by others");
}

const struct doctor_check doctor_net_checks[] = {
	{ "other readers", check_readers },
	{ "nat", check_nat },
	{ "ports", check_ports },
	{ 0 },
};

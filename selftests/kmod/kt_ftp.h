/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An FTP session from a to b, in active mode: the server opens the data connection.
 */
#ifndef KT_FTP_H
#define KT_FTP_H

#include "kt_flow.h"

#define KT_NAT_ADDR "10.9.0.111"

/* In a: the FTP helper for what goes to port 21, and source NAT if wanted */
KT_UNUSED static int kt_ftp_rules(bool has_nat)
{
	return kt_sh("nft -f - <<'X'\n"
		     "table inet kt {\n"
		     "  ct helper ftp { type \"ftp\" protocol tcp; }\n"
		     "  chain early { type filter hook output priority -10; tcp dport 21 ct helper set \"ftp\";\n  }\n"
		     "}\nX") ?:
	       has_nat ? kt_sh("modprobe nf_nat_ftp && ip addr add " KT_NAT_ADDR "/16 dev va && nft -f - <<'X'\n"
			       "table ip knat {\n"
			       "  chain pre { type nat hook prerouting priority -100; }\n"
			       "  chain post { type nat hook postrouting priority 100;\n"
			       "    tcp dport 21 snat to " KT_NAT_ADDR ";\n  }\n"
			       "}\nX") : 0;
}

/* The server greets, the client says who it is: from the end of a line on the helper listens. */
KT_UNUSED static int kt_ftp_login(const struct kt_tcp *t)
{
	return kt_send(t->b, "220 hello\r\n") ?: kt_recv(t->a) != 11 ? -EIO :
	       kt_send(t->a, "USER me\r\n") ?: kt_recv(t->b) != 9 ? -EIO : 0;
}

/* Say PORT on the control connection; what the server hears is in @heard */
KT_UNUSED static int kt_ftp_port(const struct kt_tcp *t, uint16_t port, char *heard, size_t size)
{
	char cmd[64];
	ssize_t n;
	int rc;

	snprintf(cmd, sizeof(cmd), "PORT 10,9,0,1,%u,%u\r\n", port >> 8, port & 255);
	rc = kt_send(t->a, cmd);
	if (rc)
		return rc;
	n = recv(t->b, heard, size - 1, 0);
	if (n <= 0)
		return n ? -errno : -EPIPE;
	heard[n] = 0;
	rc = kt_send(t->b, "200 ok\r\n");
	return rc ?: kt_recv(t->a) == 8 ? 0 : -EIO;
}

/* The server opens a data connection, as PORT told it; the client must get it. */
KT_UNUSED static int kt_ftp_data(const struct kt_nets *nets, const char *heard, uint16_t port, struct kt_tcp *data)
{
	int listener = kt_socket(SOCK_STREAM, "10.9.0.1", port), rc;
	unsigned int a, b, c, d, hi, lo;
	char addr[64];

	if (listener < 0 || listen(listener, 1))
		return -EIO;
	if (sscanf(heard, "PORT %u,%u,%u,%u,%u,%u", &a, &b, &c, &d, &hi, &lo) != 6)
		return -EPROTO;
	snprintf(addr, sizeof(addr), "%u.%u.%u.%u", a, b, c, d);
	data->b = kt_socket_b(nets, SOCK_STREAM, "10.9.0.2", 20);
	rc = data->b < 0 ? data->b : kt_connect(data->b, addr, hi << 8 | lo);
	data->a = rc ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return rc ?: data->a < 0 ? -errno : 0;
}

#endif

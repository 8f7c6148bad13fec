// SPDX-License-Identifier: GPL-2.0-or-later
#include "api_tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128
#define ESTABLISHED 1 /* TCP_ESTABLISHED of the kernel */

int api_tcp_open(const struct fr_address *address)
{
	int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, rc;

	if (fd < 0)
		return -errno;
	/* Both wildcards may be listed. */
	if (address->sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (const struct sockaddr *)&address->sa, address->sa_len) &&
	    !listen(fd, BACKLOG))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* "0100007F:1F90", as the kernel writes it: words in the order of the host's bytes. */
static void format_end(const struct sockaddr_storage *a, char *buf, size_t len)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)a;
	const uint32_t *w = sin6->sin6_addr.s6_addr32;

	if (a->ss_family == AF_INET6)
		snprintf(buf, len, "%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3],
			 ntohs(sin6->sin6_port));
	else
		snprintf(buf, len, "%08X:%04X", sin->sin_addr.s_addr, ntohs(sin->sin_port));
}

/*
 * Whose socket a line is, if it is that from @from to @to. One that was closed says nothing of its
 * owner: it would be root's.
 */
static bool is_line(const char *line, const char *from, const char *to, uid_t *uid)
{
	char local[48], remote[48];
	unsigned int state, owner;
	unsigned long inode;

	if (sscanf(line, " %*u: %47s %47s %x %*s %*s %*s %u %*u %lu", local, remote, &state, &owner,
		   &inode) != 5 || strcmp(local, from) || strcmp(remote, to) ||
	    state != ESTABLISHED || !inode)
		return false;
	*uid = owner;
	return true;
}

int api_tcp_owner(int fd, const char *tables, uid_t *uid)
{
	struct sockaddr_storage here = { 0 }, there = { 0 };
	socklen_t here_len = sizeof(here), there_len = sizeof(there);
	char path[128], from[48], to[48], line[256];
	FILE *table;
	int rc = -ENOENT;

	if (getsockname(fd, (struct sockaddr *)&here, &here_len) ||
	    getpeername(fd, (struct sockaddr *)&there, &there_len))
		return -errno;
	format_end(&there, from, sizeof(from));
	format_end(&here, to, sizeof(to));
	snprintf(path, sizeof(path), "%s/%s", tables ? tables : "/proc/self/net",
		 here.ss_family == AF_INET6 ? "tcp6" : "tcp");
	table = fopen(path, "re");
	if (!table)
		return -errno;
	while (rc && fgets(line, sizeof(line), table))
		if (is_line(line, from, to, uid))
			rc = 0;
	fclose(table);
	return rc;
}

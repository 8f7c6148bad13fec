// SPDX-License-Identifier: GPL-2.0-or-later
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Decimal without sign, spaces or more than five digits. */
static int parse_small(const char *text, unsigned int max, unsigned int *value)
{
	size_t len = strspn(text, "0123456789");
	unsigned int n = 0;

	if (!len || len > 5 || text[len])
		return -EINVAL;
	for (; *text; text++)
		n = n * 10 + (unsigned int)(*text - '0');
	if (n > max)
		return -EINVAL;
	*value = n;
	return 0;
}

/* "v6" or "v6%interface" without brackets. */
static int parse_v6(const char *text, struct sockaddr_in6 *sin6)
{
	char host[INET6_ADDRSTRLEN];
	const char *scope = strchr(text, '%');
	size_t len = scope ? (size_t)(scope - text) : strlen(text);

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET6, host, &sin6->sin6_addr) != 1)
		return -EINVAL;
	sin6->sin6_family = AF_INET6;
	if (scope) {
		sin6->sin6_scope_id = if_nametoindex(scope + 1);
		if (!sin6->sin6_scope_id)
			return -ENODEV;
	}
	return 0;
}

int fr_address_parse(const char *text, uint16_t default_port,
		     struct fr_address *address)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&address->sa;
	struct sockaddr_in *sin = (struct sockaddr_in *)&address->sa;
	const char *port_text = NULL;
	unsigned int port = default_port;
	char host[FR_ADDRESS_TEXT_LEN];
	size_t len;
	int err;

	*address = (struct fr_address){ 0 };
	len = strlen(text);
	if (!len || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len + 1);
	if (host[0] == '[') {
		char *end = strchr(host, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		if (end[1])
			port_text = end + 2;
		*end = '\0';
		err = parse_v6(host + 1, sin6);
		if (err)
			return err;
		address->sa_len = sizeof(*sin6);
	} else {
		char *colon = strchr(host, ':');

		if (colon) {
			port_text = colon + 1;
			*colon = '\0';
		}
		if (inet_pton(AF_INET, host, &sin->sin_addr) != 1)
			return -EINVAL;
		sin->sin_family = AF_INET;
		address->sa_len = sizeof(*sin);
	}
	if ((port_text && parse_small(port_text, 65535, &port)) || !port) {
		*address = (struct fr_address){ 0 };
		return -EINVAL;
	}
	if (address->sa.ss_family == AF_INET6)
		sin6->sin6_port = htons((uint16_t)port);
	else
		sin->sin_port = htons((uint16_t)port);
	return 0;
}

char *fr_address_format(const struct fr_address *address, char *buf)
{
	const struct sockaddr_in6 *sin6 =
		(const struct sockaddr_in6 *)&address->sa;
	const struct sockaddr_in *sin =
		(const struct sockaddr_in *)&address->sa;
	char host[INET6_ADDRSTRLEN] = "", name[IF_NAMESIZE];

	switch (address->sa.ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &sin->sin_addr, host, sizeof(host));
		snprintf(buf, FR_ADDRESS_TEXT_LEN, "%s:%u", host,
			 ntohs(sin->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof(host));
		if (!sin6->sin6_scope_id)
			snprintf(buf, FR_ADDRESS_TEXT_LEN, "[%s]:%u", host,
				 ntohs(sin6->sin6_port));
		else if (if_indextoname(sin6->sin6_scope_id, name))
			snprintf(buf, FR_ADDRESS_TEXT_LEN, "[%s%%%s]:%u", host,
				 name, ntohs(sin6->sin6_port));
		else
			snprintf(buf, FR_ADDRESS_TEXT_LEN, "[%s%%%u]:%u", host,
				 sin6->sin6_scope_id, ntohs(sin6->sin6_port));
		break;
	default:
		snprintf(buf, FR_ADDRESS_TEXT_LEN, "none");
	}
	return buf;
}

uint16_t fr_address_port(const struct fr_address *address)
{
	if (address->sa.ss_family == AF_INET6)
		return ntohs(
			((const struct sockaddr_in6 *)&address->sa)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&address->sa)->sin_port);
}

void fr_address_set_port(struct fr_address *address, uint16_t port)
{
	if (address->sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&address->sa)->sin6_port = htons(port);
	else if (address->sa.ss_family == AF_INET)
		((struct sockaddr_in *)&address->sa)->sin_port = htons(port);
}

void fr_address_any(int family, struct fr_address *address)
{
	*address = (struct fr_address){ 0 };
	address->sa.ss_family = (sa_family_t)family;
	address->sa_len = family == AF_INET6 ? sizeof(struct sockaddr_in6) :
					       sizeof(struct sockaddr_in);
}

bool fr_address_is_any(const struct fr_address *address)
{
	const struct sockaddr_in6 *sin6 =
		(const struct sockaddr_in6 *)&address->sa;
	const struct sockaddr_in *sin =
		(const struct sockaddr_in *)&address->sa;

	if (address->sa.ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&sin6->sin6_addr);
	return sin->sin_addr.s_addr == htonl(INADDR_ANY);
}

bool fr_address_is_loopback(const struct fr_address *address)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&address->sa;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)&address->sa;

	if (address->sa.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
	return address->sa.ss_family == AF_INET &&
	       ntohl(sin->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool fr_address_equal(const struct fr_address *a, const struct fr_address *b)
{
	/* Both were built by fr_address_parse(), so the padding is zero. */
	return a->sa_len == b->sa_len && !memcmp(&a->sa, &b->sa, a->sa_len);
}

int fr_network_parse(const char *text, struct fr_network *network)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned int prefix_len, n_bits, bit;
	char host[INET6_ADDRSTRLEN];

	*network = (struct fr_network){ 0 };
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	network->family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(network->family, host, network->addr) != 1)
		return -EINVAL;
	n_bits = network->family == AF_INET6 ? 128 : 32;
	prefix_len = n_bits;
	if (slash && parse_small(slash + 1, n_bits, &prefix_len))
		return -EINVAL;
	network->prefix_len = (uint8_t)prefix_len;
	for (bit = prefix_len; bit < n_bits; bit++)
		if (network->addr[bit / 8] & (0x80 >> bit % 8))
			return -EDOM;
	return 0;
}

char *fr_network_format(const struct fr_network *network, char *buf)
{
	char host[INET6_ADDRSTRLEN] = "";

	inet_ntop(network->family, network->addr, host, sizeof(host));
	snprintf(buf, FR_ADDRESS_TEXT_LEN, "%s/%u", host, network->prefix_len);
	return buf;
}

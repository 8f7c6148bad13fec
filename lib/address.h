/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * address - socket addresses and networks as people write them; never a name lookup
 */
#ifndef FR_ADDRESS_H
#define FR_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define FR_ADDRESS_TEXT_LEN 80 /* "[v6%interface]:port" and to spare */

/* A socket address ready for bind() or connect(); sa_len 0 = none. */
struct fr_address {
	struct sockaddr_storage sa;
	socklen_t sa_len;
};

/* A prefix; host bits are zero. */
struct fr_network {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t prefix_len; /* 0..32 or 0..128 */
	uint8_t addr[16]; /* network order; the first four bytes for AF_INET */
};

/**
 * fr_address_parse() - "10.0.0.1:9001", "[2001:db8::1]:9001", "[fe80::1%eth0]:9001"
 * @default_port: used when the text has none; 0 = the port is required
 *
 * Return: 0; -EINVAL; -ENODEV for an unknown interface after '%'.
 */
int fr_address_parse(const char *text, uint16_t default_port,
		     struct fr_address *address);

/**
 * fr_address_format() - as fr_address_parse() reads it, always with the port
 *
 * Return: @buf, which holds at least FR_ADDRESS_TEXT_LEN bytes.
 */
char *fr_address_format(const struct fr_address *address, char *buf);

/**
 * fr_address_port() - the port in host order
 */
uint16_t fr_address_port(const struct fr_address *address);

/**
 * fr_address_set_port() - another port, in host order; nothing where there is no address
 */
void fr_address_set_port(struct fr_address *address, uint16_t port);

/**
 * fr_address_any() - the wildcard of a family, without a port
 */
void fr_address_any(int family, struct fr_address *address);

/**
 * fr_address_is_any() - is it the wildcard, 0.0.0.0 or ::
 */
bool fr_address_is_any(const struct fr_address *address);

/**
 * fr_address_is_loopback() - is it in 127.0.0.0/8, or ::1
 */
bool fr_address_is_loopback(const struct fr_address *address);

/**
 * fr_address_equal() - same family, address, scope and port
 */
bool fr_address_equal(const struct fr_address *a, const struct fr_address *b);

/**
 * fr_network_parse() - "10.0.0.0/8", "fe80::/10", or one address without a length
 *
 * Return: 0; -EINVAL; -EDOM when bits behind the prefix are set.
 */
int fr_network_parse(const char *text, struct fr_network *network);

/**
 * fr_network_format() - as fr_network_parse() reads it, always with the length
 *
 * Return: @buf, which holds at least FR_ADDRESS_TEXT_LEN bytes.
 */
char *fr_network_format(const struct fr_network *network, char *buf);

#endif

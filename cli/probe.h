/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe - small facts from /proc, /sys, /boot and the ruleset, and how to read them
 *
 * The readers of texts take any text, and believe nothing that is not there.
 */
#ifndef PROBE_H
#define PROBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROBE_NAME_LEN 64

/**
 * probe_read() - a small file into @buf, with a zero behind; what does not fit is left out
 *
 * Return: bytes; -errno.
 */
ssize_t probe_read(const char *path, char *buf, size_t len);

/**
 * probe_slurp() - a whole file of at most 64 MiB
 *
 * Return: what the caller frees, with a zero behind; NULL and errno.
 */
char *probe_slurp(const char *path);

/**
 * probe_number() - the number that a file in /proc/sys holds
 *
 * Return: 0; -EINVAL: it holds none; -errno.
 */
int probe_number(const char *path, long long *n);

/**
 * probe_option() - what the configuration of a kernel says of an option, as "CONFIG_KPROBES"
 *
 * Return: 'y', 'm', another first letter of its value, or 0 where it is not set.
 */
char probe_option(const char *text, const char *option);

/**
 * probe_release() - "6.1.0-56-amd64" as 6 and 1
 *
 * Return: false if that is no release.
 */
bool probe_release(const char *text, unsigned int *major, unsigned int *minor);

/**
 * probe_has_module() - does a modules.dep name a module, compressed or not
 */
bool probe_has_module(const char *text, const char *name);

/* A line of /proc/net/tcp, tcp6, udp or udp6 */
struct probe_socket {
	uint16_t port; /* here */
	uint16_t remote_port;
	unsigned int state; /* as the kernel numbers those of TCP */
	unsigned long inode;
};

#define PROBE_LISTENS 10 /* of TCP; one of UDP has 7 */

/**
 * probe_socket() - read one line
 *
 * Return: false if it is none, as the heading.
 */
bool probe_socket(const char *line, struct probe_socket *s);

/**
 * probe_owner() - the process that has a socket
 * @name: of PROBE_NAME_LEN bytes, what it is called
 *
 * Return: its id; 0 if none is seen.
 */
pid_t probe_owner(unsigned long inode, char *name);

/**
 * probe_process() - a process of that name
 *
 * Return: its id; 0 if there is none.
 */
pid_t probe_process(const char *name);

/**
 * probe_masquerades() - where a ruleset masquerades
 * @ruleset: as nft -j prints it
 * @found: called for each rule, with "ip nat post, handle 4 (oif wan0)"
 */
void probe_masquerades(const json_t *ruleset, void (*found)(void *cookie, const char *where),
		       void *cookie);

#endif

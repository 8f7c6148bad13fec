// SPDX-License-Identifier: GPL-2.0-or-later

#include "life.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Hexadecimal digits, with dashes between some of them */
static int read_digits(const char *path, uint8_t life[FR_LIFE_LEN])
{
	FILE *f = fopen(path, "re");
	size_t i, n = 0;

	if (!f)
		return -errno;
	for (i = 0; i < FR_LIFE_LEN; i++)
		n += fscanf(f, "%*[-]") != EOF && fscanf(f, "%2hhx", &life[i]) == 1;
	fclose(f);
	return n == FR_LIFE_LEN ? 0 : -EBADMSG;
}

static int read_cookie(uint64_t *cookie)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*cookie);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int life_read(uint8_t life[FR_LIFE_LEN])
{
	uint64_t cookie = 0;
	int rc = read_digits("/proc/sys/kernel/random/boot_id", life);
	size_t i;

	if (!rc)
		rc = read_cookie(&cookie);
	if (rc < 0)
		memset(life, 0, FR_LIFE_LEN);
	for (i = 0; i < sizeof(cookie); i++)
		life[i] ^= cookie >> (8 * i) & 0xff;
	return rc;
}

void life_load(const char *dir, const char *peer, uint8_t life[FR_LIFE_LEN])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/life.%s", dir, peer);
	if (read_digits(path, life) < 0)
		memset(life, 0, FR_LIFE_LEN);
}

int life_save(const char *dir, const char *peer, const uint8_t life[FR_LIFE_LEN])
{
	char name[NAME_MAX + 1], text[2 * FR_LIFE_LEN + 2];
	size_t i, n = 0;

	for (i = 0; i < FR_LIFE_LEN; i++)
		n += sprintf(text + n, "%02x", life[i]);
	text[n++] = '\n';
	snprintf(name, sizeof(name), "life.%s", peer);
	return store_replace(dir, name, text, n);
}

bool life_is_another(const uint8_t a[FR_LIFE_LEN], const uint8_t b[FR_LIFE_LEN])
{
	static const uint8_t untold[FR_LIFE_LEN];

	return memcmp(a, untold, FR_LIFE_LEN) && memcmp(b, untold, FR_LIFE_LEN) &&
	       memcmp(a, b, FR_LIFE_LEN);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "api_guests.h"

#include <netinet/in.h>
#include <string.h>

#include "monotonic.h"

#define TOLD_FACTOR 2 /* so many times per_address may connect, and be told that it is too much */

void api_guests_init(struct api_guests *g, const struct api_guests_limits *limits)
{
	size_t i;

	g->limits = *limits;
	g->n = 0;
	pthread_mutex_init(&g->lock, NULL);
	for (i = 0; i < API_GUESTS_MAX; i++)
		g->v[i] = (struct api_guest){ .fd = -1 };
}

void api_guests_destroy(struct api_guests *g)
{
	pthread_mutex_destroy(&g->lock);
}

/* The same for those that are counted together. */
static uint64_t network_of(const struct sockaddr *a)
{
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in *sin = (const struct sockaddr_in *)a;
	uint64_t network = 0;

	if (a && a->sa_family == AF_INET6)
		memcpy(&network, &sin6->sin6_addr, sizeof(network));
	else if (a && a->sa_family == AF_INET)
		memcpy(&network, &sin->sin_addr, sizeof(sin->sin_addr));
	return network;
}

static unsigned int count_of(const struct api_guests *g, uint64_t network)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < API_GUESTS_MAX; i++)
		n += g->v[i].fd >= 0 && g->v[i].network == network;
	return n;
}

bool api_guests_has_room(struct api_guests *g, const struct sockaddr *address)
{
	unsigned int n;

	if (!g->limits.per_address)
		return true;
	pthread_mutex_lock(&g->lock);
	n = count_of(g, network_of(address));
	pthread_mutex_unlock(&g->lock);
	return n < TOLD_FACTOR * g->limits.per_address;
}

struct api_guest *api_guests_come(struct api_guests *g, int fd, const struct sockaddr *address)
{
	uint64_t network = network_of(address);
	struct api_guest *guest = NULL;
	unsigned int n;
	size_t i;

	pthread_mutex_lock(&g->lock);
	n = g->limits.per_address ? count_of(g, network) : 0;
	for (i = 0; i < API_GUESTS_MAX && !guest; i++)
		if (g->v[i].fd < 0)
			guest = &g->v[i];
	if (guest) {
		*guest = (struct api_guest){
			.fd = fd,
			.network = network,
			.since_ns = monotonic_ns(),
			.is_refused = g->n >= g->limits.total ||
				      (n && n >= g->limits.per_address),
		};
		g->n++;
	}
	pthread_mutex_unlock(&g->lock);
	return guest;
}

void api_guests_go(struct api_guests *g, struct api_guest *guest)
{
	pthread_mutex_lock(&g->lock);
	guest->fd = -1;
	g->n--;
	pthread_mutex_unlock(&g->lock);
}

void api_guests_turn(struct api_guests *g, struct api_guest *guest, bool is_ours)
{
	pthread_mutex_lock(&g->lock);
	guest->since_ns = is_ours ? 0 : monotonic_ns();
	pthread_mutex_unlock(&g->lock);
}

unsigned int api_guests_sweep(struct api_guests *g, uint64_t max_ns)
{
	uint64_t now = monotonic_ns();
	unsigned int n = 0;
	size_t i;

	/* Under the lock it is still open: api_guests_go() comes before it is closed. */
	pthread_mutex_lock(&g->lock);
	for (i = 0; i < API_GUESTS_MAX; i++) {
		struct api_guest *guest = &g->v[i];

		if (guest->fd < 0 || !guest->since_ns || now - guest->since_ns <= max_ns)
			continue;
		shutdown(guest->fd, SHUT_RDWR);
		guest->since_ns = 0;
		n++;
	}
	pthread_mutex_unlock(&g->lock);
	return n;
}

unsigned int api_guests_count(struct api_guests *g)
{
	unsigned int n;

	pthread_mutex_lock(&g->lock);
	n = g->n;
	pthread_mutex_unlock(&g->lock);
	return n;
}

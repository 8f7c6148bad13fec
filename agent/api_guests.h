/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API guests: who is connected to one listening socket, how many of one address, and for how long
 * each has been sending its request or taking its answer. libmicrohttpd gives up who is silent;
 * who sends a byte now and then would stay for ever.
 *
 * The HTTP thread of the socket comes and goes here, the loop thread looks at the time.
 */
#ifndef API_GUESTS_H
#define API_GUESTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define API_GUESTS_MAX 160	/* connections; more wait to be accepted */

/**
 * struct api_guests_limits - how many are served
 * @total: of all; the rest is turned away, 503
 * @per_address: of one IPv4 address or IPv6 network of 64 bits; 0: any number
 */
struct api_guests_limits {
	unsigned int total;
	unsigned int per_address;
};

struct api_guest {
	int fd;			/* -1: nobody */
	uint64_t network;	/* of its address */
	uint64_t since_ns;	/* CLOCK_MONOTONIC; 0: it waits for us */
	bool is_refused;
};

struct api_guests {
	struct api_guests_limits limits;
	pthread_mutex_t lock;
	unsigned int n;
	struct api_guest v[API_GUESTS_MAX];
};

void api_guests_init(struct api_guests *g, const struct api_guests_limits *limits);
void api_guests_destroy(struct api_guests *g);

/* May another one of this address connect at all, if only to be told 503? */
bool api_guests_has_room(struct api_guests *g, const struct sockaddr *address);
/* It is connected. NULL: there is no place */
struct api_guest *api_guests_come(struct api_guests *g, int fd, const struct sockaddr *address);
/* It is about to be closed. */
void api_guests_go(struct api_guests *g, struct api_guest *guest);
/* From here on it sends or takes, or it waits. */
void api_guests_turn(struct api_guests *g, struct api_guest *guest, bool is_ours);
/* Shut down those who have been at it for longer than @max_ns. Return: how many there were */
unsigned int api_guests_sweep(struct api_guests *g, uint64_t max_ns);
/* How many there are. */
unsigned int api_guests_count(struct api_guests *g);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes on a TCP connection of the API: whatever is answered is an answer of HTTP, no handler
 * runs without a token, and what it is handed is an object.
 */
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api.h"
#include "log.h"

#define TOKEN "0123456789abcdef"
#define PATIENCE_MS 50 /* half a request has no answer until it is given up */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static void on_any(void *cookie, struct api_call *call, const json_t *body)
{
	(void)cookie;
	must(!body || json_is_object(body));
	must(json_is_object(api_query(call)));
	must(!body || !strcmp(api_who(call), "token"));
	must(!strchr(api_arg(call), '/') && strcmp(api_arg(call), ".."));
	api_reply(call, json_pack("{s:s, s:O, s:O?}", "arg", "x", "query", api_query(call), "body",
				  body));
}

static const struct api_route routes[] = {
	API_GET("/a", on_any),
	API_POST("/a", on_any),
	API_POST("/a/+/resolve", on_any),
	{},
};

/* A server, and a loop of its own, for all inputs. */
static void *serve(void *arg)
{
	char dir[] = "/tmp/fuzz_api.XXXXXX", path[64];
	struct fr_config_token token = { "token", { (const uint8_t *)TOKEN, strlen(TOKEN) } };
	struct fr_config_api config = { .tokens = &token, .n_tokens = 1 };
	atomic_uint *port = arg;
	struct api_place place;
	struct fr_address address;
	struct api *api;
	sd_event *event;
	char text[32];
	unsigned int try;

	must(mkdtemp(dir));
	must(sd_event_new(&event) >= 0);
	snprintf(path, sizeof(path), "%s/sock", dir);
	must(!api_start(&api, event, path, routes, NULL));
	unlink(path);
	rmdir(dir);
	for (try = 20000 + getpid() % 10000; !*port; try++) {
		snprintf(text, sizeof(text), "127.0.0.1:%u", try);
		must(!fr_address_parse(text, 0, &address));
		config.listen.v = &address;
		config.listen.n = 1;
		must(!api_listen(api, &config) && api_place(api, 0, &place));
		if (place.is_listening)
			*port = try;
	}
	sd_event_loop(event);
	return NULL;
}

static unsigned int port_of_server(void)
{
	static atomic_uint port;
	pthread_t thread;

	if (!port) {
		fr_log_open("fuzz", FR_LOG_ERR);
		must(!pthread_create(&thread, NULL, serve, &port));
		while (!port)
			usleep(1000);
	}
	return port;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port_of_server()),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger reset = { .l_onoff = 1 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char head[256], answer[4096];
	ssize_t n;

	must(fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)));
	/* Most inputs shall come further than the guard. */
	if (len && data[0] == '*') {
		int head_len = snprintf(head, sizeof(head),
					"POST /a/7/resolve HTTP/1.1\r\nHost: localhost:%u\r\n"
					"Authorization: Bearer " TOKEN "\r\nContent-Length: %zu\r\n\r\n",
					ntohs(to.sin_port), len - 1);

		(void)!send(fd, head, head_len, MSG_NOSIGNAL);
		data++;
		len--;
	}
	(void)!send(fd, data, len, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	n = poll(&p, 1, PATIENCE_MS) == 1 ? recv(fd, answer, sizeof(answer), 0) : 0;
	if (n >= 9)
		must(!memcmp(answer, "HTTP/1.", 7));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	return 0;
}

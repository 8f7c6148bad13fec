// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep pause, flyrep resume: stop and start the replication of this node */
#include "http.h"
#include "verbs.h"

#include <stdio.h>

static const char *changed(const json_t *answer)
{
	return json_is_true(json_object_get(answer, "changed")) ? "" : "as before: ";
}

static void print_paused(const json_t *answer)
{
	printf("%spaused: nothing is sent or applied until \"flyrep resume\" or a restart of "
	       "the agent\n", changed(answer));
}

static void print_resumed(const json_t *answer)
{
	printf("%sreplication goes on\n", changed(answer));
}

int pause_run(struct cli *cli, int argc, char **argv)
{
	const struct http_request request = { "POST", "/api/replication/pause", NULL,
					      HTTP_TIMEOUT_S, NULL };

	(void)argc;
	(void)argv;
	return http_do(cli, &request, print_paused);
}

int resume_run(struct cli *cli, int argc, char **argv)
{
	const struct http_request request = { "POST", "/api/replication/resume", NULL,
					      HTTP_TIMEOUT_S, NULL };

	(void)argc;
	(void)argv;
	return http_do(cli, &request, print_resumed);
}

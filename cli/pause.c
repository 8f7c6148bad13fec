// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep pause, flyrep resume: stop and start the replication of this node */
#include "http.h"
#include "verbs.h"

#include <stdio.h>

static int ask(const struct cli *cli, const char *path, const char *is_so)
{
	const struct http_request request = { "POST", path, NULL,
					      HTTP_TIMEOUT_S };
	json_t *answer;
	int rc;

	rc = http_call(cli, &request, &answer);
	if (rc)
		return rc;
	if (cli->json)
		http_show(cli, answer);
	else
		printf("%s%s\n",
		       json_is_true(json_object_get(answer, "changed")) ?
			       "" :
			       "as before: ",
		       is_so);
	json_decref(answer);
	return CLI_OK;
}

int pause_run(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ask(cli, "/api/replication/pause",
		   "paused: nothing is sent or applied until \"flyrep resume\" or a restart of the agent");
}

int resume_run(struct cli *cli, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ask(cli, "/api/replication/resume", "replication goes on");
}

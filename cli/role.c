// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep role: what this node is now, and making it something else */
#include "format.h"
#include "http.h"
#include "verbs.h"

#include <string.h>

/* A takeover walks every flow of the kernel; nothing good comes of giving up early. */
#define TAKEOVER_TIMEOUT_S 60

static int show(const struct cli *cli)
{
	const json_t *status;
	char count[FORMAT_LEN];
	json_t *answer;
	int rc;

	rc = http_get(cli, "/api/replication/status", &answer);
	if (rc)
		return rc;
	status = json_object_get(answer, "status");
	if (cli->json) {
		json_t *role =
			json_pack("{s:O?, s:O?, s:O?}", "role",
				  json_object_get(status, "ha_role"), "epoch",
				  json_object_get(status, "epoch"), "node_id",
				  json_object_get(status, "node_id"));

		http_show(cli, role);
		json_decref(role);
	} else {
		printf("%s  %s  epoch %s\n", format_text(status, "node_id"),
		       format_text(status, "ha_role"),
		       format_count(json_object_get(status, "epoch"), count));
	}
	json_decref(answer);
	return CLI_OK;
}

static void print_change(const json_t *answer)
{
	const json_t *promoted = json_object_get(answer, "promoted");
	const char *role = format_text(answer, "role");
	char count[FORMAT_LEN];

	printf("%s  epoch %s", role,
	       format_count(json_object_get(answer, "epoch"), count));
	if (!strcmp(role, "primary"))
		printf("  %s flows promoted", format_count(promoted, count));
	if (json_is_true(json_object_get(answer, "forced")))
		printf("  by force");
	printf("  %s\n", format_ms(json_object_get(answer, "took_ms"), count));
}

static int change(const struct cli *cli, const char *role)
{
	struct http_request request = { "POST", "/api/replication/role", NULL,
					TAKEOVER_TIMEOUT_S, NULL };

	request.body = json_pack("{s:s}", "role", role);
	if (cli_flag(cli, "force"))
		json_object_set_new(request.body, "force", json_true());
	return http_do(cli, &request, print_change);
}

int role_run(struct cli *cli, int argc, char **argv)
{
	if (cli_flag(cli, "force") && (argc != 2 || strcmp(argv[1], "primary")))
		return cli_usage(cli, "role", "--force is for primary");
	if (argc > 2)
		return cli_usage(cli, "role", "one role at a time");
	if (argc > 1 && cli->watch_s > 0)
		return cli_usage(cli, "role", "--watch is for the role as it is");
	return argc < 2 ? show(cli) : change(cli, argv[1]);
}

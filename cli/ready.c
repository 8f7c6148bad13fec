// SPDX-License-Identifier: GPL-2.0-or-later
/* flyrep ready: may this node take over now, and what would be lost */
#include "format.h"
#include "http.h"
#include "style.h"
#include "verbs.h"

int ready_run(struct cli *cli, int argc, char **argv)
{
	const json_t *reason, *would_lose;
	char count[FORMAT_LEN];
	json_t *answer;
	bool is_ready;
	size_t i;
	int rc;

	(void)argc;
	(void)argv;
	rc = http_get(cli, "/api/replication/ready", &answer);
	if (rc)
		return rc;
	is_ready = json_is_true(json_object_get(answer, "ready"));
	would_lose = json_object_get(answer, "would_lose");
	if (cli->json) {
		http_show(cli, answer);
	} else {
		style_print(cli, is_ready ? STYLE_GOOD : STYLE_BAD, "%s",
			    is_ready ? "ready" : "not ready");
		printf("  %s", format_text(answer, "role"));
		if (json_is_integer(would_lose))
			printf("  %s changes would be lost if the peer died now",
			       format_count(would_lose, count));
		putchar('\n');
		json_array_foreach(json_object_get(answer, "reasons"), i,
				   reason)
			printf("  %s\n", json_string_value(reason));
	}
	json_decref(answer);
	return is_ready ? CLI_OK : CLI_DEGRADED;
}

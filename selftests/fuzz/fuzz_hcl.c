// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as a configuration: bound, and printed back when they are sound. */
#include "config.h"
#include "hcl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char *print(const struct fr_config *config, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (!out || fr_config_print(config, out))
		abort();
	fclose(out);
	return text;
}

/* What was accepted prints as something that is accepted and prints the same. */
static void round_trip(const struct fr_config *config)
{
	struct fr_config again;
	struct fr_diag diag;
	size_t len, len_again;
	char *text = print(config, &len), *text_again;
	char *secret;

	if (fr_config_parse("again", text, len, FR_CONFIG_SECRET_OPTIONAL,
			    &again, &diag)) {
		fr_diag_print(&diag, stderr);
		abort();
	}
	text_again = print(&again, &len_again);
	/* A secret is printed as a comment, so it is there only once. */
	secret = strstr(text, "# secret_key = ");
	if (!secret && (len != len_again || memcmp(text, text_again, len)))
		abort();
	fr_diag_free(&diag);
	fr_config_free(&again);
	free(text);
	free(text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fr_config config;
	struct fr_diag diag;

	/* No input may make it read files. */
	if (memmem(data, len, "secret_key_file", 15))
		return 0;
	if (!fr_config_parse("fuzz", (const char *)data, len,
			     FR_CONFIG_SECRET_OPTIONAL, &config, &diag))
		round_trip(&config);
	else if (!fr_diag_has_errors(&diag))
		abort();
	fr_diag_free(&diag);
	fr_config_free(&config);
	return 0;
}

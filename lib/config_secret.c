// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_secret.h"

#include "config_bind.h"
#include "config_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDSTORE "/etc/credstore" /* systemd.exec(5) */
#define TOKENS_LEN_MAX (64 << 10) /* of the file */

ssize_t fr_config_secret_read_file(const char *path, char *buf, size_t max, mode_t *mode)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	*mode = fstat(fd, &st) ? 0 : st.st_mode & 07777;
	while (len <= max) {
		n = read(fd, buf + len, max + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? n : (ssize_t)len;
}

static void check_mode(const struct fr_config_load *load, struct fr_diag_pos pos,
		       const char *what, mode_t mode)
{
	if (mode & (S_IRGRP | S_IROTH))
		fr_diag_warning(
			load->diag, pos,
			"%s holds a secret and others than its owner may read it (mode %04o)",
			what, (unsigned int)mode);
}

static void check_secret(const struct fr_config_load *load, struct fr_diag_pos pos,
			 const char *what, size_t len)
{
	if (len < FR_CONFIG_SECRET_MIN)
		fr_diag_error(
			load->diag, pos,
			"%s: %zu bytes are too few for a secret: at least %d",
			what, len, FR_CONFIG_SECRET_MIN);
	else if (len > FR_CONFIG_SECRET_MAX)
		fr_diag_error(load->diag, pos, "%s: more than %d bytes", what,
			      FR_CONFIG_SECRET_MAX);
	else if (len < FR_CONFIG_SECRET_GOOD)
		fr_diag_warning(
			load->diag, pos,
			"%s: %zu bytes are few for a secret: better %d or more",
			what, len, FR_CONFIG_SECRET_GOOD);
}

static int read_secret(const struct fr_config_load *load, struct fr_diag_pos pos,
		       const char *path, bool is_credential)
{
	struct fr_config *config = load->config;
	char *buf = fr_arena_alloc(&config->arena, FR_CONFIG_SECRET_MAX + 2);
	mode_t mode;
	ssize_t len;

	if (!buf)
		return -ENOMEM;
	len = fr_config_secret_read_file(path, buf, FR_CONFIG_SECRET_MAX, &mode);
	if (len < 0) {
		if (!is_credential)
			fr_diag_error(load->diag, pos,
				      "cannot read the secret in %s: %s", path,
				      strerror((int)-len));
		return (int)len;
	}
	if (len && buf[len - 1] == '\n')
		len--;
	config->secret.bytes = (const uint8_t *)buf;
	config->secret.len = (size_t)len;
	config->secret_origin =
		fr_arena_strndup(&config->arena, path, strlen(path));
	check_secret(load, pos, path, config->secret.len);
	if (!is_credential) /* systemd looks after its own */
		check_mode(load, pos, path, mode);
	return 0;
}

static void take_secret_key(const struct fr_config_load *load, struct fr_diag_pos pos,
			    char *key)
{
	struct fr_config *config = load->config;
	char line[32];
	int len;

	config->secret.bytes = (const uint8_t *)key;
	config->secret.len = strlen(key);
	len = snprintf(line, sizeof(line), "line %u", pos.line);
	config->secret_origin =
		fr_arena_strndup(&config->arena, line, (size_t)len);
	check_secret(load, pos, "secret_key", config->secret.len);
	check_mode(load, pos, "this file", load->file_mode);
}

/* Who only checks looks where the service manager will take them from, as far as he may. */
static const char *credentials_of(const struct fr_config_load *load)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	return dir || !(load->flags & FR_CONFIG_SECRET_OPTIONAL) ? dir : CREDSTORE;
}

static void take_credential(const struct fr_config_load *load)
{
	const struct fr_config *config = load->config;
	const char *dir = credentials_of(load);
	bool has_peers = config->listen_addr.sa_len ||
			 fr_config_primary_address(config, 0) || config->peers.n;
	bool has_heartbeat = fr_config_has_heartbeat(config);
	struct fr_diag_pos pos = load->section->pos;
	char path[512];

	if (dir) {
		snprintf(path, sizeof(path), "%s/psk", dir);
		if (!read_secret(load, pos, path, true))
			return;
	}
	if (!has_heartbeat && (!has_peers || config->auth.method != FR_CONFIG_PSK))
		return;
	fr_diag_add(
		load->diag,
		load->flags & FR_CONFIG_SECRET_OPTIONAL ? FR_DIAG_WARNING :
							  FR_DIAG_ERROR,
		pos,
		"no secret%s: set secret_key_file or secret_key, or give the agent the systemd credential psk",
		has_heartbeat && config->auth.method != FR_CONFIG_PSK ?
			", which heartbeats need, with certificates too" :
			"");
}

static void find_secret(const struct fr_config_load *load)
{
	struct fr_config *config = load->config;
	const struct {
		const char *path;
		char *key, *file;
	} sources[] = {
		{ "secret_key", config->secret_key, NULL },
		{ "secret_key_file", NULL, config->secret_key_file },
		{ "auth.secret_key", config->auth.secret_key, NULL },
		{ "auth.secret_key_file", NULL, config->auth.secret_key_file },
	};
	const char *found = NULL;
	size_t i;

	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct fr_diag_pos pos =
			fr_config_pos(load->section, sources[i].path);

		if (!sources[i].key && !sources[i].file)
			continue;
		if (found) {
			fr_diag_error(load->diag, pos,
				      "%s: the secret was given already, as %s",
				      sources[i].path, found);
			continue;
		}
		found = sources[i].path;
		if (sources[i].key)
			take_secret_key(load, pos, sources[i].key);
		else
			read_secret(load, pos, sources[i].file, false);
	}
	if (!found)
		take_credential(load);
}

static bool is_same_secret(const struct fr_config_secret *a,
			   const struct fr_config_secret *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->bytes, b->bytes, a->len));
}

static void check_previous(const struct fr_config_load *load, const char *path)
{
	struct fr_diag_pos pos = fr_config_pos(load->section, path);
	const struct fr_config *config = load->config;
	size_t i, j;

	for (i = 0; i < config->previous.n; i++) {
		const struct fr_config_secret *s = &config->previous.v[i];

		check_secret(load, pos, path, s->len);
		if (is_same_secret(s, &config->secret))
			fr_diag_error(load->diag, pos,
				      "%s: the present secret is among them",
				      path);
		for (j = 0; j < i; j++)
			if (is_same_secret(s, &config->previous.v[j]))
				fr_diag_error(load->diag, pos,
					      "%s: a secret is there twice",
					      path);
	}
	if (!config->secret.len && !(load->flags & FR_CONFIG_SECRET_OPTIONAL))
		fr_diag_error(load->diag, pos, "%s: without a present one",
			      path);
	check_mode(load, pos, "this file", load->file_mode);
}

static void find_previous(const struct fr_config_load *load)
{
	static const char top[] = "previous_secret_keys",
			  auth[] = "auth.previous_secret_keys";
	struct fr_config *config = load->config;
	bool is_top = config->previous_secret_keys.n;

	if (is_top && config->auth.previous_secret_keys.n)
		fr_diag_error(load->diag, fr_config_pos(load->section, auth),
			      "%s: given already, as %s", auth, top);
	config->previous = is_top ? config->previous_secret_keys :
				    config->auth.previous_secret_keys;
	if (config->previous.n)
		check_previous(load, is_top ? top : auth);
}

/* --- tokens of the API --------------------------------------------------- */

struct token_file {
	const struct fr_config_load *load;
	struct fr_diag_pos pos;
	const char *path;
	unsigned int line;
};

static __attribute__((format(printf, 2, 3))) void token_fault(const struct token_file *f,
							      const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fr_diag_error(f->load->diag, f->pos, "api.token_file: %s, line %u: %s", f->path, f->line,
		      text);
}

static bool is_token_there(const struct fr_config_api *api, const struct fr_config_token *t)
{
	size_t i;

	for (i = 0; i < api->n_tokens; i++)
		if (is_same_secret(&api->tokens[i].secret, &t->secret))
			return true;
	return false;
}

/* What is wrong is told without the token. */
static void take_token(const struct token_file *f, char *name, char *secret)
{
	struct fr_config_api *api = &f->load->config->api;
	size_t len = strlen(secret), i;
	struct fr_config_token t = { name, { (const uint8_t *)secret, len } };

	for (i = 0; i < len && secret[i] > ' ' && secret[i] < 0x7f; i++)
		;
	if (!fr_config_is_node_id(name))
		token_fault(f, "a name is 1 to %d of letters, digits, '.', '_' and '-'",
			    FR_CONFIG_NODE_ID_MAX);
	else if (!strcmp(name, "root"))
		token_fault(f, "root is nobody's name but root's");
	else if (i < len)
		token_fault(f, "a token is of printable ASCII, without spaces");
	else if (len < FR_CONFIG_TOKEN_MIN || len > FR_CONFIG_SECRET_MAX)
		token_fault(f, "a token has at least %d bytes, and at most %d", FR_CONFIG_TOKEN_MIN,
			    FR_CONFIG_SECRET_MAX);
	else if (is_token_there(api, &t))
		token_fault(f, "that token is there twice");
	else if (api->n_tokens == FR_CONFIG_TOKENS_MAX)
		token_fault(f, "more than %d tokens", FR_CONFIG_TOKENS_MAX);
	else
		api->tokens[api->n_tokens++] = t;
}

static void take_token_line(const struct token_file *f, char *line)
{
	char *save = NULL, *first = strtok_r(line, " \t\r", &save);
	char *second = first ? strtok_r(NULL, " \t\r", &save) : NULL;

	if (!first || *first == '#')
		return;
	if (second && strtok_r(NULL, " \t\r", &save))
		token_fault(f, "one token on a line, with a name before it or not");
	else
		take_token(f, second ? first : (char *)FR_CONFIG_TOKEN_NAME,
			   second ? second : first);
}

/* Return: 0, or -errno: there is no such file, or it cannot be read. */
static int read_tokens(struct token_file *f, bool is_credential)
{
	struct fr_config *config = f->load->config;
	char *text = fr_arena_alloc(&config->arena, TOKENS_LEN_MAX + 2), *line, *next;
	mode_t mode;
	ssize_t len;

	config->api.tokens = fr_arena_alloc(&config->arena,
					    FR_CONFIG_TOKENS_MAX * sizeof(*config->api.tokens));
	if (!text || !config->api.tokens)
		return -ENOMEM;
	len = fr_config_secret_read_file(f->path, text, TOKENS_LEN_MAX, &mode);
	if (len < 0)
		return (int)len;
	if (len > TOKENS_LEN_MAX || memchr(text, '\0', (size_t)len))
		token_fault(f, "no text, or more than %d bytes", TOKENS_LEN_MAX);
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		f->line++;
		take_token_line(f, line);
	}
	if (!config->api.n_tokens && !fr_diag_has_errors(f->load->diag))
		fr_diag_error(f->load->diag, f->pos, "api.token_file: %s: no token is in it",
			      f->path);
	if (!is_credential)
		check_mode(f->load, f->pos, f->path, mode);
	return 0;
}

static void find_tokens(const struct fr_config_load *load)
{
	bool is_check = load->flags & FR_CONFIG_SECRET_OPTIONAL;
	const struct fr_config *config = load->config;
	const char *dir = credentials_of(load);
	struct token_file f = { load, fr_config_pos(load->section, "api.token_file"),
				config->api.token_file, 0 };
	char path[512];
	int rc;

	if (f.path) {
		rc = read_tokens(&f, false);
		if (rc < 0)
			fr_diag_add(load->diag,
				    is_check ? FR_DIAG_WARNING : FR_DIAG_ERROR, f.pos,
				    "api.token_file: cannot read the tokens in %s: %s",
				    f.path, strerror(-rc));
	} else if (dir) {
		snprintf(path, sizeof(path), "%s/api_token", dir);
		f.path = path;
		rc = read_tokens(&f, true);
		if (rc < 0 && rc != -ENOENT && !(is_check && rc == -EACCES))
			fr_diag_error(load->diag, f.pos, "cannot read the tokens in %s: %s", path,
				      strerror(-rc));
	}
}

/* Whom strangers can reach asks for a token. */
static void check_tokens(const struct fr_config_load *load)
{
	const struct fr_config_api *api = &load->config->api;
	char text[FR_ADDRESS_TEXT_LEN];
	size_t i;

	for (i = 0; i < api->listen.n && !api->n_tokens && !api->token_file; i++)
		if (!fr_address_is_loopback(&api->listen.v[i]))
			fr_diag_add(load->diag,
				    load->flags & FR_CONFIG_SECRET_OPTIONAL ? FR_DIAG_WARNING :
									      FR_DIAG_ERROR,
				    fr_config_pos(load->section, "api.listen"),
				    "api.listen: %s is no loopback address: set api.token_file, or "
				    "give the agent the systemd credential api_token",
				    fr_address_format(&api->listen.v[i], text));
}

void fr_config_secret_find(const struct fr_config_load *load)
{
	find_secret(load);
	find_previous(load);
	find_tokens(load);
	check_tokens(load);
}

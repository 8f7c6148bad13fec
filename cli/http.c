// SPDX-License-Identifier: GPL-2.0-or-later
#include "http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (16u << 20)
#define LIBCURL "libcurl.so.4"

/*
 * Loaded when the agent is asked, and not before: it brings three dozen libraries, and what speaks
 * to the kernel alone, as a hook of a DHCP server does for each lease, would spend most of its time
 * on them.
 */
struct curl {
	CURL *handle;
	__typeof__(curl_easy_init) *init;
	__typeof__(curl_easy_setopt) *setopt;
	__typeof__(curl_easy_perform) *perform;
	__typeof__(curl_easy_getinfo) *getinfo;
	__typeof__(curl_easy_strerror) *strerror;
	__typeof__(curl_easy_cleanup) *cleanup;
	__typeof__(curl_slist_append) *append;
	__typeof__(curl_slist_free_all) *free_all;
};

struct answer {
	char *bytes;
	size_t len;
	bool is_too_long;
};

/* For a long answer, at a terminal */
struct wait {
	const char *doing;
	time_t begun;
	long told; /* seconds, 0: nothing yet */
};

static size_t on_bytes(char *bytes, size_t size, size_t n, void *userdata)
{
	struct answer *answer = userdata;
	char *grown;

	(void)size; /* always 1 */
	if (n > ANSWER_MAX - answer->len) {
		answer->is_too_long = true;
		return 0;
	}
	grown = realloc(answer->bytes, answer->len + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + answer->len, bytes, n);
	answer->bytes = grown;
	answer->len += n;
	grown[answer->len] = '\0';
	return n;
}

/* How far it is only the agent knows; that something goes on is worth a line. */
static int on_progress(void *userdata, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct wait *wait = userdata;
	long seconds = time(NULL) - wait->begun;

	(void)a, (void)b, (void)c, (void)d;
	if (seconds > wait->told) {
		wait->told = seconds;
		printf("\r%s, %ld s\033[K", wait->doing, seconds);
		fflush(stdout);
	}
	return 0;
}

static void end_progress(const struct wait *wait)
{
	if (wait->told)
		fputs("\r\033[K", stdout);
}

static int curl_open(const struct cli *cli, struct curl *curl)
{
	const struct {
		const char *name;
		void *at;
	} functions[] = {
		{ "curl_easy_init", &curl->init },
		{ "curl_easy_setopt", &curl->setopt },
		{ "curl_easy_perform", &curl->perform },
		{ "curl_easy_getinfo", &curl->getinfo },
		{ "curl_easy_strerror", &curl->strerror },
		{ "curl_easy_cleanup", &curl->cleanup },
		{ "curl_slist_append", &curl->append },
		{ "curl_slist_free_all", &curl->free_all },
	};
	void *library = dlopen(LIBCURL, RTLD_NOW),
	     *function; /* stays as long as the process */
	size_t i;

	if (!library)
		return cli_error(cli, CLI_FAILED, "%s", dlerror());
	for (i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		function = dlsym(library, functions[i].name);
		if (!function)
			return cli_error(cli, CLI_FAILED, "%s: no %s", LIBCURL,
					 functions[i].name);
		memcpy(functions[i].at, &function, sizeof(function));
	}
	curl->handle = curl->init();
	return curl->handle ? CLI_OK :
			      cli_error(cli, CLI_FAILED, "out of memory");
}

static int unreachable(const struct cli *cli)
{
	if (access(cli->socket, F_OK) && errno == EACCES)
		return cli_error(cli, CLI_DENIED,
				 "%s: permission denied: join the group flyrep",
				 cli->socket);
	if (!access(cli->socket, F_OK) && access(cli->socket, W_OK))
		return cli_error(cli, CLI_DENIED,
				 "%s: permission denied: join the group flyrep",
				 cli->socket);
	if (access(cli->socket, F_OK))
		return cli_error(
			cli, CLI_UNREACHABLE,
			"no agent here: %s does not exist (systemctl status flyrep)",
			cli->socket);
	return cli_error(cli, CLI_UNREACHABLE,
			 "nobody answers at %s (systemctl status flyrep)",
			 cli->socket);
}

static int failed(const struct cli *cli, const struct curl *curl, CURLcode code,
		  const struct http_request *request,
		  const struct answer *answer)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return unreachable(cli);
	case CURLE_OPERATION_TIMEDOUT:
		return cli_error(cli, CLI_TIMED_OUT,
				 "the agent did not answer within %ld s",
				 request->timeout_s);
	case CURLE_WRITE_ERROR:
		return cli_error(cli, CLI_FAILED, "the agent's answer %s",
				 answer->is_too_long ?
					 "is too long" :
					 "does not fit in memory");
	default:
		return cli_error(cli, CLI_UNREACHABLE,
				 "talking to the agent: %s",
				 curl->strerror(code));
	}
}

static int refused(const struct cli *cli, long status, const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *details =
		json_string_value(json_object_get(answer, "details"));
	int rc = CLI_FAILED;

	if (status == 401 || status == 403)
		rc = CLI_DENIED;
	else if (status == 408 || status == 504)
		rc = CLI_TIMED_OUT;
	if (!error)
		return cli_error(cli, rc, "the agent answers with status %ld",
				 status);
	return cli_error(cli, rc, "%s%s%s", error,
			 details && *details ? ": " : "",
			 details && *details ? details : "");
}

static int judge(const struct cli *cli, long status,
		 const struct answer *answer, json_t **json)
{
	json_error_t error;
	int rc;

	*json = json_loadb(answer->bytes ? answer->bytes : "", answer->len,
			   JSON_REJECT_DUPLICATES, &error);
	if (status >= 400) {
		rc = refused(cli, status, *json);
		json_decref(*json);
		return rc;
	}
	if (json_is_object(*json))
		return CLI_OK;
	if (*json)
		snprintf(error.text, sizeof(error.text), "not an object");
	json_decref(*json);
	return cli_error(cli, CLI_FAILED,
			 "the agent's answer makes no sense: %s", error.text);
}

static int perform(const struct cli *cli, const struct curl *curl,
		   const struct http_request *request, struct answer *answer,
		   json_t **json)
{
	struct curl_slist *headers = NULL;
	struct wait wait = { .doing = request->doing, .begun = time(NULL) };
	char url[256], *body = NULL;
	CURLcode code;
	long status;
	int rc;

	snprintf(url, sizeof(url), "http://localhost%s", request->path);
	if (request->body)
		body = json_dumps(request->body, JSON_COMPACT);
	headers = curl->append(headers, "Content-Type: application/json");
	curl->setopt(curl->handle, CURLOPT_URL, url);
	curl->setopt(curl->handle, CURLOPT_UNIX_SOCKET_PATH, cli->socket);
	curl->setopt(curl->handle, CURLOPT_PROXY, "");
	curl->setopt(curl->handle, CURLOPT_NOSIGNAL, 1L);
	curl->setopt(curl->handle, CURLOPT_TIMEOUT, request->timeout_s);
	curl->setopt(curl->handle, CURLOPT_CUSTOMREQUEST, request->method);
	curl->setopt(curl->handle, CURLOPT_USERAGENT, "flyrep/" FLYREP_VERSION);
	curl->setopt(curl->handle, CURLOPT_WRITEFUNCTION, on_bytes);
	curl->setopt(curl->handle, CURLOPT_WRITEDATA, answer);
	if (strcmp(request->method, "GET")) {
		curl->setopt(curl->handle, CURLOPT_HTTPHEADER, headers);
		curl->setopt(curl->handle, CURLOPT_POSTFIELDS,
			     body ? body : "");
	}
	if (request->doing && cli->is_tty && !cli->json) {
		curl->setopt(curl->handle, CURLOPT_NOPROGRESS, 0L);
		curl->setopt(curl->handle, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl->setopt(curl->handle, CURLOPT_XFERINFODATA, &wait);
	}
	code = curl->perform(curl->handle);
	end_progress(&wait);
	if (code == CURLE_OK) {
		curl->getinfo(curl->handle, CURLINFO_RESPONSE_CODE, &status);
		rc = judge(cli, status, answer, json);
	} else {
		rc = failed(cli, curl, code, request, answer);
	}
	curl->free_all(headers);
	free(body);
	return rc;
}

int http_call(const struct cli *cli, const struct http_request *request,
	      json_t **answer)
{
	size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	struct answer bytes = { 0 };
	struct curl curl;
	int rc;

	if (strlen(cli->socket) > path_max)
		return cli_error(cli, CLI_USAGE,
				 "--socket: longer than %zu bytes", path_max);
	rc = curl_open(cli, &curl);
	if (rc != CLI_OK)
		return rc;
	rc = perform(cli, &curl, request, &bytes, answer);
	curl.cleanup(curl.handle);
	free(bytes.bytes);
	return rc;
}

int http_get(const struct cli *cli, const char *path, json_t **answer)
{
	const struct http_request request = { "GET", path, NULL,
					      HTTP_TIMEOUT_S, NULL };

	return http_call(cli, &request, answer);
}

int http_do(const struct cli *cli, const struct http_request *request,
	    void (*print)(const json_t *answer))
{
	json_t *answer;
	int rc = http_call(cli, request, &answer);

	json_decref(request->body);
	if (rc)
		return rc;
	if (cli->json)
		http_show(cli, answer);
	else
		print(answer);
	json_decref(answer);
	return CLI_OK;
}

void http_show(const struct cli *cli, const json_t *answer)
{
	json_dumpf(answer, stdout,
		   cli->watch_s ? JSON_COMPACT : JSON_INDENT(2));
	putchar('\n');
}

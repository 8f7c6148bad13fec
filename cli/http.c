// SPDX-License-Identifier: GPL-2.0-or-later
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (16u << 20)

struct answer {
	char *bytes;
	size_t len;
	bool is_too_long;
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

static int failed(const struct cli *cli, CURLcode code,
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
				 curl_easy_strerror(code));
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

static int perform(const struct cli *cli, CURL *curl,
		   const struct http_request *request, struct answer *answer,
		   json_t **json)
{
	struct curl_slist *headers = NULL;
	char url[256], *body = NULL;
	CURLcode code;
	long status;
	int rc;

	snprintf(url, sizeof(url), "http://localhost%s", request->path);
	if (request->body)
		body = json_dumps(request->body, JSON_COMPACT);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, cli->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, request->timeout_s);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "flyrep/" FLYREP_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (strcmp(request->method, "GET")) {
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
	}
	code = curl_easy_perform(curl);
	if (code == CURLE_OK) {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		rc = judge(cli, status, answer, json);
	} else {
		rc = failed(cli, code, request, answer);
	}
	curl_slist_free_all(headers);
	free(body);
	return rc;
}

int http_call(const struct cli *cli, const struct http_request *request,
	      json_t **answer)
{
	size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	struct answer bytes = { 0 };
	CURL *curl;
	int rc;

	if (strlen(cli->socket) > path_max)
		return cli_error(cli, CLI_USAGE,
				 "--socket: longer than %zu bytes", path_max);
	curl = curl_easy_init();
	if (!curl)
		return cli_error(cli, CLI_FAILED, "out of memory");
	rc = perform(cli, curl, request, &bytes, answer);
	curl_easy_cleanup(curl);
	free(bytes.bytes);
	return rc;
}

int http_get(const struct cli *cli, const char *path, json_t **answer)
{
	const struct http_request request = { "GET", path, NULL,
					      HTTP_TIMEOUT_S };

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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http - one question to the agent over its unix socket
 */
#ifndef HTTP_H
#define HTTP_H

#include "cli.h"

#include <jansson.h>

struct http_request {
	const char *method; /* "GET" or "POST" */
	const char *path; /* "/api/replication/..." */
	json_t *body; /* or NULL; the caller keeps it */
	long timeout_s;
	/* What is being done: told with its time on a terminal if it takes long; or NULL */
	const char *doing;
};

#define HTTP_TIMEOUT_S 10 /* for what the agent answers from memory */

/**
 * http_call() - ask and wait
 * @answer: a JSON object the caller releases, only with CLI_OK
 *
 * Return: CLI_OK, or another enum cli_exit after saying why on stderr.
 */
int http_call(const struct cli *cli, const struct http_request *request,
	      json_t **answer);

/**
 * http_get() - http_call() for a plain GET
 */
int http_get(const struct cli *cli, const char *path, json_t **answer);

/**
 * http_do() - http_call() for what is done once, and its answer, as JSON with --json
 * @request: its body is released
 * @print: else
 *
 * Return: as http_call()
 */
int http_do(const struct cli *cli, const struct http_request *request,
	    void (*print)(const json_t *answer));

/**
 * http_show() - print an answer as it came, for --json
 *
 * On one line under --watch, indented otherwise.
 */
void http_show(const struct cli *cli, const json_t *answer);

#endif

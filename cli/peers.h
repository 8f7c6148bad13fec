/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peers - flyrep peers, and the name of a peer on the command line
 */
#ifndef PEERS_H
#define PEERS_H

#include <jansson.h>

#include "cli.h"
#include "http.h"

/**
 * peers_check() - may @id be the name of a node
 * @id: NULL: none was given, which is fine
 * @what: begins the text of the error, as in "--peer: "
 *
 * One that passes needs no quoting in a path of the API.
 *
 * Return: CLI_OK, or CLI_USAGE after an error was told.
 */
int peers_check(const struct cli *cli, const char *verb, const char *what, const char *id);

/**
 * peers_call() - http_call() for what is about one peer
 * @id: NULL: about all
 *
 * If the agent refuses and knows no such peer, the error names the one that was most
 * likely meant, or all there are.
 *
 * Return: as http_call()
 */
int peers_call(const struct cli *cli, const struct http_request *request, const char *id,
	       json_t **answer);

/**
 * peers_find() - the one of an array of peers whose "id" is @id, or NULL
 */
const json_t *peers_find(const json_t *peers, const char *id);

/**
 * peers_print() - a table with a line for each, and what else there is to say of them
 */
void peers_print(const struct cli *cli, const json_t *peers);

/**
 * peers_are_degraded() - is any of them not in sync
 */
bool peers_are_degraded(const json_t *peers);

/**
 * peers_lag() - its lag_ms; NULL where nobody knows, as it is not there
 */
const json_t *peers_lag(const json_t *peer);

#endif

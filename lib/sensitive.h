/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sensitive - what should not leave a node: passwords, keys and the like, by their names
 *
 * Names are compared without regard to case, "-", "_" and ".", so that "PrivateKey" is
 * "private_key". The names known here: password, passwd, passphrase, secret, private_key,
 * preshared_key, psk, auth_key, auth_pass, api_key, api_token, auth_token, access_token,
 * bearer_token, credential; whoever asks may have more.
 */
#ifndef FR_SENSITIVE_H
#define FR_SENSITIVE_H

#include "config.h"

#define FR_SENSITIVE_WORD_LEN 64

/* Is the field of a record that is called so? The name as a whole counts. */
bool fr_sensitive_field(const char *name, const struct fr_config_strings *more);

/**
 * fr_sensitive_find() - the first line of a file that sets something sensitive
 * @text: any bytes; @len at most FLYREP_ITEM_VALUE_MAX_LEN for a cost that is bounded
 * @word: FR_SENSITIVE_WORD_LEN bytes: what it sets, as written but cut to fit
 *
 * No format is understood: it is a line with a word that has one of the names in it and a value
 * behind "=", ":" or a space, which "" is not; in a comment, behind "=" or ":" only. A word that
 * ends in file, dir or path names a place and is fine. A line that begins a private key in PEM is
 * one, too. What is not text in UTF-8 cannot be looked into and is taken for sensitive as a whole.
 *
 * Return: the line, from 1; 0: there is none.
 */
unsigned int fr_sensitive_find(const uint8_t *text, size_t len,
			       const struct fr_config_strings *more, char *word);

#endif

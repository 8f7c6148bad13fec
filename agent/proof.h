/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proof: that both ends of a channel have a common secret, bound to that very channel
 * (docs/protocol.md, Session 1; RFC 9266). Bytes in, bytes out; nothing here does I/O.
 *
 *   dialler    n u8, n MACs: one under each of its secrets, the present one first
 *   listener   i u8, MAC: under the i-th of these, 0 the first; 255: it has none of them
 */
#ifndef PROOF_H
#define PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "keys.h"

#define PROOF_MAC_LEN 48 /* HMAC-SHA384 */
#define PROOF_BINDING_LEN 48 /* of the channel */
#define PROOF_SECRETS_MAX 8
#define PROOF_OFFER_MAX (1 + PROOF_SECRETS_MAX * PROOF_MAC_LEN)
#define PROOF_ANSWER_LEN (1 + PROOF_MAC_LEN)
#define PROOF_NONE 255

/* Return: bytes of @offer, -EIO */
int proof_offer(const struct keys *secrets, size_t n_secrets,
		const uint8_t binding[PROOF_BINDING_LEN],
		uint8_t offer[PROOF_OFFER_MAX]);
/* Bytes of an offer that begins so: -EBADMSG: there is none. */
int proof_offer_len(uint8_t first);
/**
 * proof_answer - listener: check an offer
 * @answer: to be sent in any case but -EIO
 * Return: which of our secrets; -EKEYREJECTED: none; -EIO
 */
int proof_answer(const struct keys *secrets, size_t n_secrets,
		 const uint8_t binding[PROOF_BINDING_LEN], const uint8_t *offer,
		 uint8_t answer[PROOF_ANSWER_LEN]);
/* Dialler. Return: which of our secrets; -EKEYREJECTED: none; -EACCES: it lies; -EIO */
int proof_check(const struct keys *secrets, size_t n_secrets,
		const uint8_t binding[PROOF_BINDING_LEN],
		const uint8_t answer[PROOF_ANSWER_LEN]);

#endif

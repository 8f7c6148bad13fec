// SPDX-License-Identifier: GPL-2.0-or-later
#include "certs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "keys.h"

void certs_stamp(const struct certs_files *f, struct certs_stamp *s)
{
	const char *const paths[] = { f->cert_file, f->key_file, f->ca_file };
	struct stat st;
	size_t i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (stat(paths[i], &st))
			continue;
		s->mtime[i] = st.st_mtim;
		s->size[i] = st.st_size;
		s->inode[i] = st.st_ino;
	}
}

/* What OpenSSL made of a file. */
static int refuse(const char *what, const char *path, char *why, size_t why_len)
{
	unsigned long code = ERR_peek_last_error();
	int error = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SYS ?
			    ERR_GET_REASON(ERR_peek_error()) :
			    0;

	snprintf(why, why_len, "%s %s: %s", what, path,
		 error ? strerror(error) :
			 ERR_reason_error_string(code) ?: "cannot be read");
	ERR_clear_error();
	return -EINVAL;
}

static int check_dates(const X509 *cert, const char *path, char *why,
		       size_t why_len)
{
	const char *text = NULL;

	if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0)
		text = "the certificate is not valid yet";
	else if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
		text = "the certificate has expired";
	if (!text)
		return 0;
	snprintf(why, why_len, "cert_file %s: %s", path, text);
	return -EINVAL;
}

int certs_use(SSL_CTX *ctx, const struct certs_files *f, char *why,
	      size_t why_len)
{
	ERR_clear_error();
	/* What is in cert_file is shown, and nothing of ca_file. */
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	if (SSL_CTX_use_certificate_chain_file(ctx, f->cert_file) != 1)
		return refuse("cert_file", f->cert_file, why, why_len);
	/* Also refuses a key that is not that of the certificate. */
	if (SSL_CTX_use_PrivateKey_file(ctx, f->key_file, SSL_FILETYPE_PEM) !=
		    1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return refuse("key_file", f->key_file, why, why_len);
	if (f->ca_file && SSL_CTX_load_verify_file(ctx, f->ca_file) != 1)
		return refuse("ca_file", f->ca_file, why, why_len);
	return check_dates(SSL_CTX_get0_certificate(ctx), f->cert_file, why,
			   why_len);
}

int64_t certs_expiry(const SSL_CTX *ctx)
{
	const X509 *cert = SSL_CTX_get0_certificate(ctx);
	struct tm tm;

	if (!cert || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return timegm(&tm);
}

/* A NUL or anything else that is in no node id makes it none. */
static void add(struct certs_names *names, const ASN1_STRING *text)
{
	const char *bytes = (const char *)ASN1_STRING_get0_data(text);
	int len = ASN1_STRING_length(text);
	char name[FR_NODE_ID_MAX_LEN + 1];

	if (len <= 0 || len > FR_NODE_ID_MAX_LEN ||
	    names->n == CERTS_NAMES_MAX)
		return;
	memcpy(name, bytes, len);
	name[len] = '\0';
	if (strlen(name) == (size_t)len && keys_is_node_id(name))
		strcpy(names->name[names->n++], name);
}

/* Return: whether there are any of type DNS. */
static bool add_alternatives(struct certs_names *names, X509 *cert)
{
	GENERAL_NAMES *all =
		X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool is_any = false;
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type != GEN_DNS)
			continue;
		is_any = true;
		add(names, g->d.dNSName);
	}
	GENERAL_NAMES_free(all);
	return is_any;
}

void certs_names(X509 *cert, struct certs_names *names)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int i = -1;

	names->n = 0;
	if (add_alternatives(names, cert))
		return;
	while ((i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0)
		add(names, X509_NAME_ENTRY_get_data(
				   X509_NAME_get_entry(subject, i)));
}

bool certs_has_name(const struct certs_names *names, const char *id)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (!strcmp(names->name[i], id))
			return true;
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
// The keys for TLS. libopenvswitch only logs what is wrong with them, and then listens where nobody
// can connect: so they are tried first.
#include "control/openflow/internal.h"

#include <errno.h>
#include <openssl/ssl.h>

#include "config/config.h"
#include "stream-ssl.h"
#include "util.h"

static int fail(char **error, const char *key, const char *path, const char *what)
{
    *error = xasprintf("openflow: %s: %s: %s", key, path, what);
    return -EINVAL;
}

static int try_files(SSL_CTX *ctx, const struct config *config, char **error)
{
    const char *key = config->openflow_key, *certificate = config->openflow_certificate;

    // Before the key, which is compared with it.
    if (certificate[0] && SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return fail(error, "tls_certificate", certificate, "cannot be read, or is no PEM");
    if (key[0] && SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return fail(error, "tls_key", key, "cannot be read, is no PEM, or not the certificate's");
    if (config->openflow_ca[0] &&
        SSL_CTX_load_verify_locations(ctx, config->openflow_ca, NULL) != 1)
        return fail(error, "tls_ca", config->openflow_ca, "cannot be read, or is no PEM");
    return 0;
}

int tls_set(const struct config *config, char **error)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    int err = ctx ? try_files(ctx, config, error) : -ENOMEM;

    SSL_CTX_free(ctx);
    if (!ctx)
        *error = xstrdup("openflow: no memory for TLS");
    if (err)
        return err;
    if (config->openflow_key[0] && config->openflow_certificate[0])
        stream_ssl_set_key_and_cert(config->openflow_key, config->openflow_certificate);
    if (config->openflow_ca[0])
        stream_ssl_set_ca_cert_file(config->openflow_ca, false);
    return 0;
}

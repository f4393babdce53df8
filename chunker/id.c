#include "chunker/id.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "chunker/bytes.h"

#define NONCE_LEN 12

/*
 * Both contexts hold their expanded keys for as long as the hasher lives; a
 * chunk costs a new nonce and no key schedule.
 */
struct id_hasher {
	EVP_CIPHER_CTX *gmac;  /* AES-128-GCM under k1, fed as AAD only */
	EVP_CIPHER_CTX *block; /* AES-128-ECB under k2, one block at a time */
};

/* HKDF-SHA256 (RFC 5869) of the store's secret, salted by its uuid. */
static int derive(const uint8_t secret[ID_SECRET_LEN], const uint8_t uuid[16],
    const void *info, size_t info_len, uint8_t *out, size_t len,
    struct err *err)
{
	/* OSSL_PARAM has no const; the derivation only reads its inputs. */
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256",
		    6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret,
		    ID_SECRET_LEN),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)uuid, 16),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)info,
		    info_len),
		OSSL_PARAM_END,
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int rc = 0;

	if (!ctx || EVP_KDF_derive(ctx, out, len, params) <= 0)
		rc = err_set(err, ERR_SYSTEM, "libcrypto cannot derive a key");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}

int id_key_derive(struct id_key *out, const uint8_t secret[ID_SECRET_LEN],
    const uint8_t uuid[16], uint32_t domain, struct err *err)
{
	uint8_t info[12] = { 'i', 'e', 'r', 'i', ' ', 'i', 'd', 's' };
	uint8_t keys[sizeof(out->k1) + sizeof(out->k2)];
	int rc;

	le32_put(info + 8, domain);
	rc = derive(secret, uuid, info, sizeof(info), keys, sizeof(keys), err);
	if (rc == 0) {
		memcpy(out->k1, keys, sizeof(out->k1));
		memcpy(out->k2, keys + sizeof(out->k1), sizeof(out->k2));
	}
	OPENSSL_cleanse(keys, sizeof(keys));
	return rc;
}

int id_cut_key_derive(uint64_t *out, const uint8_t secret[ID_SECRET_LEN],
    const uint8_t uuid[16], struct err *err)
{
	static const uint8_t info[] = { 'i', 'e', 'r', 'i', ' ', 'c', 'u', 't',
		's' };
	uint8_t key[8];
	int rc;

	rc = derive(secret, uuid, info, sizeof(info), key, sizeof(key), err);
	if (rc == 0)
		*out = le64_get(key);
	OPENSSL_cleanse(key, sizeof(key));
	return rc;
}

int id_random(void *buf, size_t len, struct err *err)
{
	/* The private generator: its output is never shown as a nonce. */
	if (len > INT_MAX || RAND_priv_bytes(buf, (int)len) != 1)
		return err_set(err, ERR_SYSTEM,
		    "libcrypto has no random bytes");
	return 0;
}

int id_hasher_new(struct id_hasher **out, const struct id_key *key,
    struct err *err)
{
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	EVP_CIPHER *ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	struct id_hasher *h = calloc(1, sizeof(*h));
	int rc = 0;

	if (!h) {
		rc = err_set(err, ERR_NOMEM, "id hasher");
		goto out;
	}
	h->gmac = EVP_CIPHER_CTX_new();
	h->block = EVP_CIPHER_CTX_new();
	if (!gcm || !ecb || !h->gmac || !h->block ||
	    !EVP_EncryptInit_ex2(h->gmac, gcm, key->k1, NULL, NULL) ||
	    !EVP_EncryptInit_ex2(h->block, ecb, key->k2, NULL, NULL) ||
	    !EVP_CIPHER_CTX_set_padding(h->block, 0)) {
		rc = err_set(err, ERR_SYSTEM, "libcrypto has no AES-128-GCM");
		goto out;
	}
	*out = h;
	h = NULL;

out:
	id_hasher_free(h);
	EVP_CIPHER_free(gcm);
	EVP_CIPHER_free(ecb);
	return rc;
}

void id_hasher_free(struct id_hasher *h)
{
	if (!h)
		return;
	EVP_CIPHER_CTX_free(h->gmac);
	EVP_CIPHER_CTX_free(h->block);
	free(h);
}

/* Feeds AAD in pieces that an int can count. */
static bool gmac_update(EVP_CIPHER_CTX *gmac, const uint8_t *data, size_t len)
{
	const size_t most = (size_t)1 << 30;

	while (len > 0) {
		size_t piece = len < most ? len : most;
		int n;

		if (!EVP_EncryptUpdate(gmac, NULL, &n, data, (int)piece))
			return false;
		data += piece;
		len -= piece;
	}
	return true;
}

int id_hash(struct id_hasher *h, enum id_kind kind, const void *data,
    size_t len, struct id *out, struct err *err)
{
	uint8_t nonce[NONCE_LEN] = { 0 };
	uint8_t tag[ID_LEN];
	OSSL_PARAM ask_tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag,
		    sizeof(tag)),
		OSSL_PARAM_END,
	};
	int n;

	/*
	 * One nonce serves every chunk of a kind.  GMAC alone would not bear
	 * that; here its tag never leaves this function unencrypted.
	 *
	 * The tag is asked for by parameter because EVP_CIPHER_CTX_ctrl, which
	 * only builds this same parameter, takes a tenth of a small chunk's
	 * time.
	 */
	nonce[NONCE_LEN - 1] = (uint8_t)kind;
	if (!EVP_EncryptInit_ex2(h->gmac, NULL, NULL, nonce, NULL) ||
	    !gmac_update(h->gmac, data, len) ||
	    !EVP_EncryptFinal_ex(h->gmac, tag, &n) ||
	    !EVP_CIPHER_CTX_get_params(h->gmac, ask_tag) ||
	    !EVP_EncryptUpdate(h->block, out->b, &n, tag, sizeof(tag)))
		return err_set(err, ERR_SYSTEM,
		    "libcrypto cannot name a chunk");
	return 0;
}

char *id_hex(const struct id *id, char hex[ID_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < ID_LEN; i++) {
		hex[2 * i] = digits[id->b[i] >> 4];
		hex[2 * i + 1] = digits[id->b[i] & 15];
	}
	hex[2 * ID_LEN] = '\0';
	return hex;
}

/* The value of one digit, or -1.  isxdigit would ask the locale. */
static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int id_parse(struct id *out, const char *hex, struct err *err)
{
	struct id id = { { 0 } };
	size_t i;

	for (i = 0; i < 2 * ID_LEN; i++) {
		int v = digit_value(hex[i]);

		if (v < 0)
			break;
		id.b[i / 2] = (uint8_t)(id.b[i / 2] << 4 | v);
	}
	if (i != 2 * ID_LEN || hex[i] != '\0')
		return err_set(err, ERR_INVALID,
		    "\"%.40s\" is not an id of 32 hexadecimal digits", hex);
	*out = id;
	return 0;
}

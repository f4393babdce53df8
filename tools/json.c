/* The JSON writer of cli.h. */
#include <inttypes.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/utf8.h"

static void string(struct json *j, const char *s, size_t len)
{
	fputc('"', j->to);
	while (len > 0) {
		unsigned char b = (unsigned char)*s;
		uint32_t c;
		size_t n = utf8_next(s, len, &c);

		if (n == 0) {
			fprintf(j->to, "\\udc%02x", b);
			n = 1;
		} else if (b == '"' || b == '\\') {
			fputc('\\', j->to);
			fputc(b, j->to);
		} else if (b == '\n') {
			fputs("\\n", j->to);
		} else if (b == '\t') {
			fputs("\\t", j->to);
		} else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			fprintf(j->to, "\\u%04x", (unsigned)c);
		} else {
			fwrite(s, 1, n, j->to);
		}
		s += n;
		len -= n;
	}
	fputc('"', j->to);
}

/* The comma before, and the key, of whatever comes next. */
static void lead(struct json *j, const char *key)
{
	if (j->comma)
		fputc(',', j->to);
	if (key) {
		string(j, key, strlen(key));
		fputc(':', j->to);
	}
	j->comma = true;
}

void json_init(struct json *j, FILE *to)
{
	*j = (struct json){ .to = to };
}

static void open_with(struct json *j, const char *key, char bracket)
{
	lead(j, key);
	fputc(bracket, j->to);
	j->depth++;
	j->comma = false;
}

static void close_with(struct json *j, char bracket)
{
	fputc(bracket, j->to);
	j->comma = true;
	if (--j->depth == 0)
		json_newline(j);
}

void json_object(struct json *j, const char *key)
{
	open_with(j, key, '{');
}

void json_array(struct json *j, const char *key)
{
	open_with(j, key, '[');
}

void json_end_object(struct json *j)
{
	close_with(j, '}');
}

void json_end_array(struct json *j)
{
	close_with(j, ']');
}

void json_bytes(struct json *j, const char *key, const char *s, size_t len)
{
	lead(j, key);
	string(j, s, len);
}

void json_text(struct json *j, const char *key, const char *s)
{
	json_bytes(j, key, s, strlen(s));
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	lead(j, key);
	fprintf(j->to, "%" PRIu64, v);
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	lead(j, key);
	fprintf(j->to, "%" PRId64, v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	lead(j, key);
	fputs(v ? "true" : "false", j->to);
}

void json_null(struct json *j, const char *key)
{
	lead(j, key);
	fputs("null", j->to);
}

void json_newline(struct json *j)
{
	fputc('\n', j->to);
	j->comma = false;
}

/* Names of any bytes, and sizes, for people: see cli.h. */
#include <string.h>

#include "tools/cli.h"
#include "tools/utf8.h"

/* Characters that print something of themselves and move nothing. */
static bool harmless(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	if (c == 0xad || c == 0x61c || c == 0x180e || c == 0xfeff)
		return false;
	if (c >= 0x200b && c <= 0x200f)
		return false;
	if (c >= 0x2028 && c <= 0x202e)
		return false;
	if (c >= 0x2060 && c <= 0x206f)
		return false;
	if (c >= 0xfff9 && c <= 0xfffb)
		return false;
	return c < 0xe0000;
}

void out_name(FILE *to, const char *bytes, size_t len)
{
	while (len > 0) {
		uint32_t c;
		size_t n = utf8_next(bytes, len, &c);

		if (n && c != '\\' && harmless(c)) {
			fwrite(bytes, 1, n, to);
		} else {
			n = 1;
			if (*bytes == '\n')
				fputs("\\n", to);
			else if (*bytes == '\t')
				fputs("\\t", to);
			else if (*bytes == '\\')
				fputs("\\\\", to);
			else
				fprintf(to, "\\x%02X", (unsigned char)*bytes);
		}
		bytes += n;
		len -= n;
	}
}

char *size_text(uint64_t bytes, char buf[SIZE_TEXT])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB",
		"EB" };
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 999.95 && u < 6) {
		v /= 1000;
		u++;
	}
	if (u == 0)
		snprintf(buf, SIZE_TEXT, "%u B", (unsigned)bytes);
	else
		snprintf(buf, SIZE_TEXT, "%.1f %s", v, units[u]);
	return buf;
}

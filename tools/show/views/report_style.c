#include "tools/show/views/report_style.h"

#include "base/error.h"
#include "tools/show/canvas/palette.h"

static const char style[] =
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,'DejaVu Sans',sans-serif;overflow-wrap:anywhere}\n"
    "main{max-width:1040px;margin:0 auto;padding:24px 20px 48px}\n"
    "h1{font-size:1.7rem;line-height:1.25;margin:.2em 0}\n"
    "h2{font-size:1.2rem;margin:2.2em 0 .6em;padding-bottom:.25em;border-bottom:1px solid var(--faint)}\n"
    "h3{font-size:1rem;margin:.4em 0}table+h3,.two+h3{margin-top:1.4em}\n"
    "p{margin:.5em 0}.muted{color:var(--muted)}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin:1.2em 0}\n"
    ".tile{background:var(--panel);border-radius:10px;padding:12px 14px}\n"
    ".tile b{display:block;font-size:1.5rem;line-height:1.2}.tile span{color:var(--muted);font-size:.85rem}\n"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:16px 28px}\n"
    ".wide{overflow-x:auto}.wide svg{min-width:760px}\n"
    "svg{display:block;width:100%;height:auto;font-family:system-ui,'DejaVu Sans',sans-serif}\n"
    "table{border-collapse:collapse;width:100%;font-size:.92rem}\n"
    "td,th{padding:3px 8px 3px 0;text-align:left;vertical-align:top}td.number{text-align:right;white-space:nowrap}\n"
    ".bar{background:var(--panel);height:12px;border-radius:3px;min-width:60px;margin-top:6px}\n"
    ".bar div{background:var(--right);height:12px;border-radius:3px}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(130px,1fr));gap:14px}\n"
    ".card{background:var(--panel);border-radius:10px;padding:10px;font-size:.85rem;break-inside:avoid}\n"
    ".card img{display:block;width:100%;border-radius:4px;margin-bottom:8px}\n"
    ".card b{display:block}.no{color:var(--series4)}.yes{color:var(--series2)}\n"
    "pre{background:var(--panel);border-radius:10px;padding:12px 14px;white-space:pre-wrap;font-size:.85rem}\n"
    "@media print{main{max-width:none;padding:0}h2{break-after:avoid}svg,table{break-inside:avoid}"
    ".wide svg{min-width:0}.tile,.card,pre,.bar,.bar div{print-color-adjust:exact}}\n";

static int scheme_write(an_buffer *out, int dark)
{
    int rc = an_buffer_printf(out, ":root{");
    for (int i = 0; !rc && i < AN_COLOURS; i++) {
        const an_palette_entry *e = an_palette((an_colour)i);
        rc = an_buffer_printf(out, "--%s:#%06x;", e->name, dark ? e->dark : e->light);
    }
    return rc ? rc : an_buffer_printf(out, "}");
}

int an_report_style_write(an_buffer *out)
{
    int rc = an_buffer_printf(out, "<style>\n:root{color-scheme:light dark}\n");
    if (!rc)
        rc = scheme_write(out, 0);
    if (!rc)
        rc = an_buffer_printf(out, "\n@media screen and (prefers-color-scheme:dark){");
    if (!rc)
        rc = scheme_write(out, 1);
    return rc ? rc : an_buffer_printf(out, "}\n%s</style>\n", style);
}

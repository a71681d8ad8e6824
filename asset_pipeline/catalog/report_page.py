"""How the hygiene report looks: one page, no file beside it, on any screen, in light and dark."""

_STYLE = """
:root { color-scheme: light dark; --text: #1d2126; --dim: #5b6470; --page: #fff; --card: #f5f6f8;
  --line: #dde1e6; --refused: #b3261e; --warning: #8a5300; --repaired: #146c43; --note: #46566b; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --dim: #9aa4b0; --page: #14171b;
  --card: #1e2329; --line: #343b44; --refused: #ff8a80; --warning: #f2b14c; --repaired: #6fd39c;
  --note: #a9b8cb; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 0 auto;
  max-width: 64rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; } .dim { color: var(--dim); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .5rem; padding: 0;
  list-style: none; }
.tiles li { background: var(--card); border-radius: .5rem; padding: .5rem .8rem; }
.tiles b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.feed { border-top: 1px solid var(--line); padding: .5rem 0; }
.books { display: flex; flex-wrap: wrap; gap: .1rem .5rem; font-variant-numeric: tabular-nums; }
.books span, .code { white-space: nowrap; }
.refused { color: var(--refused); } .warning { color: var(--warning); } .repaired { color: var(--repaired); }
.note { color: var(--note); }
.level { font-weight: 600; }
form { background: var(--page); border-bottom: 1px solid var(--line); padding: .5rem 0; display: flex;
  flex-wrap: wrap; gap: .5rem 1rem; align-items: center; }
@media (min-height: 40rem) and (min-width: 40rem) { form { position: sticky; top: 0; } }
form label { white-space: nowrap; } select, input[type=search] { font: inherit; max-width: 100%; }
details { border-top: 1px solid var(--line); } summary { padding: .5rem 0; cursor: pointer; }
summary b { margin-right: .3rem; }
summary .level { margin-left: .6rem; white-space: nowrap; font-size: .9rem; }
details ul { margin: 0 0 .8rem; padding: 0 0 0 1.2rem; list-style: none; }
details li { border-left: 3px solid currentColor; padding: 0 0 0 .7rem; margin: .4rem 0; }
details li > * { color: var(--text); } details li > .dim { color: var(--dim); font-size: .9rem; }
details li > .level { color: inherit; }
"""

_SCRIPT = """
const form = document.querySelector("form"), groups = [...document.querySelectorAll("details")].map(
  group => ({group, name: group.dataset.name.toLowerCase(), items: [...group.querySelectorAll("li")]}));
function filter() {
  const levels = new Set([...form.querySelectorAll("[name=level]:checked")].map(box => box.value));
  const code = form.elements.code.value, words = form.elements.words.value.trim().toLowerCase();
  let findings = 0, left = 0;
  for (const {group, name, items} of groups) {
    let shown = 0;
    for (const item of items) {
      const fits = levels.has(item.dataset.level) && (!code || item.dataset.code === code);
      item.hidden = !(fits && name.includes(words));
      shown += item.hidden ? 0 : 1;
    }
    group.hidden = shown === 0;
    findings += shown;
    left += group.hidden ? 0 : 1;
  }
  form.elements.count.value = findings + " findings in " + left + " groups";
}
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", event => event.preventDefault());
filter();
"""

PAGE = (
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Catalog hygiene</title>
<style>"""
    + _STYLE
    + """</style>
</head>
<body>
{% macro number(value) %}{{ "{:,}".format(value) }}{% endmacro %}
{% macro part(value, word, level="") %}
<span{% if value and level %} class="{{ level }}"{% endif %}>{{ number(value) }} {{ word }}</span>
{% endmacro %}
{% macro books(feed) %}
<div class="books">
{{ part(feed.rows, "rows") }} =
{{ part(feed.products, "products") }} +
{{ part(feed.variants, "variants") }} +
{{ part(feed.details, "details") }} +
{{ part(feed.refused, "refused", "refused") }} +
{{ part(feed.skipped, "skipped") }}
</div>
{% endmacro %}
<h1>Catalog hygiene</h1>
<p>{{ number(untroubled) }} of {{ number(products) }} products need no attention.</p>
<ul class="tiles">
<li><b>{{ number(products) }}</b>products</li>
<li><b>{{ number(photographs) }}</b>photographs</li>
{% for level, count in levels %}
<li><b{% if count %} class="{{ level }}"{% endif %}>{{ number(count) }}</b>{{ level }}</li>
{% endfor %}
</ul>
<p class="dim">Refused: the row gave no product. Warning: the product is used, and something is missing or
lost; a person should look. Repaired: the value was mended and is used. Note: worth knowing.</p>

<h2>Feeds</h2>
{% for feed in feeds %}
<div class="feed"><b>{{ feed.file }}</b> <span class="dim">{{ feed.dialect or "not read" }}</span>
{% if feed.error %}
<div class="refused">{{ feed.error }}</div>
{% endif %}
{{ books(feed) }}
{% if not feed.is_balanced %}
<div class="refused">This does not add up, which is a fault of the reader: look at rows
{{ feed.unaccounted | join(", ") }}.</div>
{% endif %}
</div>
{% else %}
<p>There is no feed in the catalog folder.</p>
{% endfor %}
{% if feeds | length > 1 %}
<div class="feed"><b>all feeds</b>
{{ books(total) }}
</div>
{% endif %}

<h2>What was found</h2>
{% for level, codes in codes_by_level %}
<p><span class="level {{ level }}">{{ level }}</span>
{% for code, count in codes %}
<span class="code">{{ number(count) }} <code>{{ code }}</code>{{ "," if not loop.last }}</span>
{% endfor %}
</p>
{% else %}
<p>Nothing.</p>
{% endfor %}

{% if groups %}
<h2>By SKU, the worst first</h2>
{% if findings > shown %}
<p>The worst {{ number(shown) }} of {{ number(findings) }}; the store has all of them, as
<code>findings</code>.</p>
{% endif %}
<form hidden>
{% for level, count in levels %}
<label class="{{ level }}"><input type="checkbox" name="level" value="{{ level }}" checked> {{ level }}
{{ number(count) }}</label>
{% endfor %}
<label>Code <select name="code"><option value="">all</option>
{% for code, count in codes %}
<option value="{{ code }}">{{ code }} ({{ number(count) }})</option>
{% endfor %}
</select></label>
<label>SKU or name <input type="search" name="words"></label>
<output name="count" class="dim"></output>
</form>
{% for group in groups %}
<details data-name="{{ group.name }} {{ group.about }}">
<summary><b>{{ group.name }}</b><span class="dim">{{ group.about }}</span>
{% for level, count in group.levels %}
<span class="level {{ level }}">{{ number(count) }} {{ level }}</span>
{% endfor %}
</summary>
<ul>
{% for finding in group.findings %}
<li class="{{ finding.level }}" data-level="{{ finding.level }}" data-code="{{ finding.code }}">
<span class="level">{{ finding.level }}</span> <code>{{ finding.code }}</code>
<div>{{ finding.message }}</div>
<div class="dim">{{ finding.feed }}{% if finding.row %}, row {{ finding.row }}{% endif %}
{% if finding.field %}, {{ finding.field }}{% endif %}</div>
</li>
{% endfor %}
</ul>
</details>
{% endfor %}
<script>"""
    + _SCRIPT
    + """</script>
{% endif %}
</body>
</html>
"""
)

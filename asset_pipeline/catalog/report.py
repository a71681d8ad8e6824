"""The hygiene report as a page of its own: what is wrong with the feeds, by row and SKU."""

from functools import cache

import jinja2

from asset_pipeline.catalog.reader import CatalogReading
from asset_pipeline.catalog.summary import count_findings, worst_first

MOST_ROWS = 5_000
"""More findings than that make a page slow; the store has all of them."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Catalog hygiene</title>
<style>
  body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
         color: #222; background: #fff; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ddd;
           overflow-wrap: anywhere; }
  th { position: sticky; top: 0; background: #f5f5f5; }
  td.number { text-align: right; font-variant-numeric: tabular-nums; }
  .refused { color: #a00; font-weight: 600; } .warning { color: #850; font-weight: 600; }
  .repaired { color: #065; } .note { color: #555; }
</style>
</head>
<body>
<h1>Catalog hygiene</h1>
<p>{{ products }} products, {{ photographs }} photographs, {{ findings }} findings.
Refused rows gave no product. Repaired values were mended and are used. Warnings need a person.</p>

<h2>Feeds</h2>
<table>
<tr><th>feed<th>dialect<th>rows<th>products<th>variants<th>details<th>refused<th>skipped</tr>
{% for feed in feeds %}
<tr><td>{{ feed.file }}<td>{{ feed.dialect or feed.error }}<td class="number">{{ feed.rows }}
<td class="number">{{ feed.products }}<td class="number">{{ feed.variants }}
<td class="number">{{ feed.details }}<td class="number">{{ feed.refused }}
<td class="number">{{ feed.skipped }}</tr>
{% endfor %}
</table>

<h2>Findings by code</h2>
<table>
<tr><th>level<th>code<th>findings</tr>
{% for level, code, count in counts %}
<tr><td class="{{ level }}">{{ level }}<td>{{ code }}<td class="number">{{ count }}</tr>
{% endfor %}
</table>

<h2>Findings</h2>
{% if findings > shown | length %}
<p>The first {{ shown | length }} of {{ findings }}, the worst first.</p>
{% endif %}
<table>
<tr><th>feed<th>row<th>SKU<th>field<th>level<th>code<th>what</tr>
{% for finding in shown %}
<tr><td>{{ finding.feed }}<td class="number">{{ finding.row or "" }}<td>{{ finding.sku or "" }}
<td>{{ finding.field or "" }}<td class="{{ finding.level }}">{{ finding.level }}<td>{{ finding.code }}
<td>{{ finding.message }}</tr>
{% endfor %}
</table>
</body>
</html>
"""


def hygiene_report(reading: CatalogReading) -> str:
    """An HTML page that needs nothing but itself; whatever feeds say in it is text."""
    return _page().render(
        products=len(reading.products),
        photographs=len(reading.photograph_files),
        findings=len(reading.findings),
        feeds=reading.feeds,
        counts=count_findings(reading.findings),
        shown=worst_first(reading.findings)[:MOST_ROWS],
    )


@cache
def _page() -> jinja2.Template:
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_PAGE)

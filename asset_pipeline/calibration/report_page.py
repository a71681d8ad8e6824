"""How the calibration report looks: one page, no file beside it, on any screen, in light and dark."""

_STYLE = """
:root { color-scheme: light dark; --text: #1d2126; --dim: #5b6470; --page: #fff; --card: #f5f6f8;
  --line: #dde1e6; --calibrated: #146c43; --uncalibrated: #8a5300; --frozen: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --dim: #9aa4b0; --page: #14171b;
  --card: #1e2329; --line: #343b44; --calibrated: #6fd39c; --uncalibrated: #f2b14c; --frozen: #ff8a80; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 0 auto;
  max-width: 64rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; } p { margin: .5rem 0; } .dim { color: var(--dim); }
.calibrated { color: var(--calibrated); } .uncalibrated { color: var(--uncalibrated); }
.frozen { color: var(--frozen); } .state { font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
th { color: var(--dim); font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: .8rem; }
figure { margin: 0; background: #fff; color: #1d2126; border: 1px solid var(--line); border-radius: .5rem;
  padding: .5rem; } figure svg { width: 100%; height: auto; } figcaption { font-size: .85rem; }
"""

PAGE = (
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Calibration</title>
<style>"""
    + _STYLE
    + """</style>
</head>
<body>
{% macro table(columns, rows) %}
<div class="scroll"><table>
<thead><tr>{% for column in columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% endmacro %}
<h1>Calibration</h1>
<p class="dim">{{ now }}. From which quality on an image may be approved without a person, what that promises,
and whether it still holds. The promise is about pictures like those that people decided about.</p>
{{ table(overview[1], overview[2]) }}
{% for type in types %}
<h2>{{ type.name }} <span class="state {{ type.guarantee.state }}">{{ type.guarantee.state }}</span></h2>
<p>{{ type.guarantee.words }}</p>
{% if type.plots %}
<div class="plots">
{% for caption, svg in type.plots %}
<figure>{{ svg | safe }}<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}
</div>
{% endif %}
{% for title, columns, rows in type.tables %}
<h3>{{ title | capitalize }}</h3>
{{ table(columns, rows) }}
{% endfor %}
{% else %}
<p>No picture has been scored yet.</p>
{% endfor %}
</body>
</html>
"""
)

import assert from "node:assert/strict";
import { test } from "node:test";
import { renderChart } from "./render.ts";

function render(text: string, values: object = {}, helpers = ""): string {
  const files = new Map([
    ["templates/_helpers.tpl", helpers],
    ["templates/one.yaml", text],
  ]);
  return renderChart(files, { Values: values }).get("templates/one.yaml")!;
}

test("branches, and trimming of blanks", () => {
  const text =
    "a:\n{{- if .Values.x }} 1\n{{- else if eq .Values.y 2 }} 2\n{{- else }} 3\n{{- end }}\n";
  assert.equal(render(text, { x: true }), "a: 1\n");
  assert.equal(render(text, { y: 2 }), "a: 2\n");
  assert.equal(render(text), "a: 3\n");
});

test("with moves the dot, and $ stays the root", () => {
  const text = "{{ with .Values.a }}{{ .b }}{{ $.Values.c }}{{ else }}none{{ end }}";
  assert.equal(render(text, { a: { b: 1 }, c: "x" }), "1x");
  assert.equal(render(text, { a: {} }), "none");
});

test("range over lists and, by key, over maps", () => {
  const text = "{{ range $k, $v := .Values.m }}{{ $k }}={{ $v }};{{ else }}none{{ end }}";
  assert.equal(render(text, { m: { b: 2, a: 1 } }), "a=1;b=2;");
  assert.equal(render(text, { m: ["x"] }), "0=x;");
  assert.equal(render(text, { m: [] }), "none");
});

test("variables are assigned in the scope that declared them", () => {
  assert.equal(render("{{ $a := 1 }}{{ if true }}{{ $a = 2 }}{{ end }}{{ $a }}"), "2");
  assert.equal(render("{{ $a := 1 }}{{ if true }}{{ $a := 2 }}{{ end }}{{ $a }}"), "1");
});

test("include renders a definition, and pipes go on", () => {
  const helpers = '{{ define "l" }}b: {{ .x }}\na: 1{{ end }}';
  const text = 'm:{{ include "l" (dict "x" "é") | nindent 2 }}\n';
  assert.equal(render(text, {}, helpers), "m:\n  b: é\n  a: 1\n");
});

test("functions", () => {
  const text =
    '{{ .Values.none | default "d" | quote }} {{ ternary 1 2 true }} {{ b64enc "hi" }} {{ toJson (list 1 "a") }}';
  assert.equal(render(text), '"d" 1 aGk= [1,"a"]');
  assert.equal(render("{{ toYaml .Values.m }}", { m: { b: [1], a: "x" } }), "a: x\nb:\n  - 1");
});

for (const [text, expected] of [
  ['{{ printf "%s:%d%%" "a" 1 }}', "a:1%"],
  ['{{ index .Values.m "b" }}', "2"],
  ['{{ dig "m" "b" "none" .Values }} {{ dig "m" "c" "none" .Values }}', "2 none"],
  ['{{ $m := deepCopy .Values.m }}{{ $_ := set $m "b" 9 }}{{ $m.b }}{{ .Values.m.b }}', "92"],
  ['{{ $m := deepCopy .Values.m }}{{ $_ := unset $m "b" }}{{ toJson $m }}', '{"a":{"c":1}}'],
  [
    '{{ toJson (merge (dict "b" 7) .Values.m (dict "a" (dict "d" 2))) }}',
    '{"a":{"c":1,"d":2},"b":7}',
  ],
  ["{{ lt 1 2 }} {{ ge 2 2 }} {{ sub 5 2 }} {{ int64 1.9 }}", "true true 3 1"],
  ['{{ upper "a" }}{{ snakecase "keepAliveInterval" }}', "Akeep_alive_interval"],
  ['{{ $a := fromJson "{\\"x\\": [1]}" }}{{ $a.x | toJson }}', "[1]"],
  ['{{ b64dec "aGk=" }} {{ contains "b" "abc" }}', "hi true"],
  ['{{ sha256sum "" }}', "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ['{{ tpl "{{ .Values.m.b }}!" . }}', "2!"],
] as const) {
  test(`functions as Helm has them: ${text}`, () => {
    assert.equal(render(text, { m: { b: 2, a: { c: 1 } } }), expected);
  });
}

test("comments and text with braces in strings", () => {
  assert.equal(render('{{/* no */}}{{ "}}" }}'), "}}");
});

for (const [name, text, expected] of [
  ["an unknown function", "\n{{ lookup 1 }}", /one\.yaml:2: function "lookup" is not supported/],
  ["an open block", "{{ if true }}", /one\.yaml:1: .* has no end/],
  ["an end too many", "a\n{{ end }}", /one\.yaml:2: .* closes nothing/],
  ["an action without end", "a\n\n{{ x ", /one\.yaml:3: \{\{ has no \}\}/],
  ["an undeclared variable", "{{ $a }}", /one\.yaml:1: variable "\$a" is not declared/],
  ["what the chart refuses", '{{ fail "set x" }}', /one\.yaml:1: set x/],
  ["what the chart requires", '{{ required "set y" .Values.y }}', /one\.yaml:1: set y/],
  ["a field of a string", '{{ $a := "x" }}{{ $a.b }}', /one\.yaml:1: cannot read \.b/],
  ["a verb without a value", '{{ printf "%s" }}', /one\.yaml:1: printf cannot print %s/],
  ["a value without a verb", '{{ printf "x" 1 }}', /one\.yaml:1: printf has too many values/],
  ["a prototype set", '{{ set (dict) "__proto__" 1 }}', /one\.yaml:1: "__proto__" cannot be/],
  ["a template in a value that is none", '{{ tpl "{{ if }}" . }}', /tpl:1: a value is missing/],
  ["a map printed", "{{ .Values }}", /one\.yaml:1: cannot print a list or map/],
] as const) {
  test(`${name} is an error with its place`, () => {
    assert.throws(() => render(text), expected);
  });
}

test("a definition that includes itself is an error", () => {
  assert.throws(
    () => render('{{ include "a" . }}', {}, '{{ define "a" }}{{ include "a" . }}{{ end }}'),
    /"a" includes itself/,
  );
});

test("what objects inherit is nothing to a template", () => {
  assert.equal(render("{{ .Values.constructor }}{{ .Values.toString }}"), "");
});

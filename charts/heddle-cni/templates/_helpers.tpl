{{- define "heddle-cni.labels" -}}
linkerd.io/cni-resource: "true"
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "heddle-cni.created-by" -}}
linkerd.io/created-by: {{ .Values.cliVersion | default (include "heddle-cni.chart-version" .) }}
{{- end }}

{{- define "heddle-cni.chart-version" -}}
heddle/helm {{ .Values.image.version }}
{{- end }}

{{/* Takes a list parted by commas; gives the items of a JSON list of text. */}}
{{- define "heddle-cni.texts" -}}
"{{ replace "," `","` (replace " " "" (toString .)) }}"
{{- end }}

{{- define "heddle-cni.resources" -}}
{{- $requests := include "heddle-cni.amounts" (dict "of" . "field" "request") }}
{{- $limits := include "heddle-cni.amounts" (dict "of" . "field" "limit") }}
{{- if $requests }}
requests:
{{- $requests }}
{{- end }}
{{- if $limits }}
limits:
{{- $limits }}
{{- end }}
{{- end }}

{{/* Takes of, a map of resources, and field: request or limit. */}}
{{- define "heddle-cni.amounts" -}}
{{- $field := .field }}
{{- range $name, $amounts := .of }}
{{- $amount := ternary $amounts.request $amounts.limit (eq $field "request") }}
{{- if $amount }}
  {{ $name }}: {{ quote $amount }}
{{- end }}
{{- end }}
{{- end }}

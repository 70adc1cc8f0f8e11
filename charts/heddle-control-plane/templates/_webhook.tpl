{{/*
The certificate of one webhook as JSON: crt, key, ca (whom callers trust) and made (when we made it,
in seconds since 1970). Takes root, service, secret, name (of the values) and settings (the values).

What we make is kept over upgrades for half its life, which is a year: it changes before it ends, as
long as there is an upgrade every six months, and not at each. When it changes, callers trust the old
one too until the next upgrade, since pods get the new one later than the API server.
*/}}
{{- define "heddle.webhook-tls" -}}
{{- $tls := .settings }}
{{- $injects := or $tls.injectCaFrom $tls.injectCaFromSecret }}
{{- if and $tls.injectCaFrom $tls.injectCaFromSecret }}{{ fail (printf "%s: give injectCaFrom or injectCaFromSecret, not both" .name) }}{{ end }}
{{- if and $injects $tls.caBundle }}{{ fail (printf "%s: give caBundle, or have it injected, not both" .name) }}{{ end }}
{{- if and $tls.externalSecret (not (or $injects $tls.caBundle)) }}{{ fail (printf "%s.externalSecret needs caBundle, injectCaFrom or injectCaFromSecret" .name) }}{{ end }}
{{- if and $injects (not $tls.externalSecret) }}{{ fail (printf "%s: injectCaFrom and injectCaFromSecret need externalSecret" .name) }}{{ end }}
{{- if and $tls.crtPEM (not $tls.keyPEM) }}{{ fail (printf "%s.crtPEM needs keyPEM" .name) }}{{ end }}
{{- if $tls.externalSecret }}
{{- dict "crt" "" "key" "" "ca" $tls.caBundle "made" "" | toJson }}
{{- else if $tls.crtPEM }}
{{- dict "crt" (trim $tls.crtPEM) "key" (trim $tls.keyPEM) "ca" (trim ($tls.caBundle | default $tls.crtPEM)) "made" "" | toJson }}
{{- else }}
{{- $old := lookup "v1" "Secret" .root.Release.Namespace .secret }}
{{- $made := dig "metadata" "annotations" "heddle.dev/made" "0" $old }}
{{- $now := now | unixEpoch }}
{{- if and $old (lt (sub (int64 $now) (int64 $made)) 15768000) }}
{{- $crt := index $old.data "tls.crt" | b64dec }}
{{- dict "crt" $crt "key" (index $old.data "tls.key" | b64dec) "ca" ($tls.caBundle | default $crt) "made" $made | toJson }}
{{- else }}
{{- $host := printf "%s.%s.svc" .service .root.Release.Namespace }}
{{- $new := genSelfSignedCert $host (list) (list $host) 365 }}
{{- $ca := trim $new.Cert }}
{{- $before := dig "data" "tls.crt" "" $old | b64dec }}
{{- if contains "-----BEGIN CERTIFICATE-----" $before }}{{ $ca = printf "%s\n%s" $ca (trim $before) }}{{ end }}
{{- dict "crt" (trim $new.Cert) "key" (trim $new.Key) "ca" (trim ($tls.caBundle | default $ca)) "made" $now | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes root, component, secret and tls (of heddle.webhook-tls). */}}
{{- define "heddle.webhook-secret" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .secret }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
  annotations:
    {{- include "heddle.created-by" .root | nindent 4 }}
    {{- with .tls.made }}
    heddle.dev/made: {{ . | quote }}
    {{- end }}
type: kubernetes.io/tls
data:
  tls.crt: {{ .tls.crt | b64enc }}
  tls.key: {{ .tls.key | b64enc }}
{{- end }}

{{/* Takes root, component, kind, name, service, settings (the values) and tls; rules follow. */}}
{{- define "heddle.webhook" -}}
{{- $tls := .settings }}
apiVersion: admissionregistration.k8s.io/v1
kind: {{ .kind }}WebhookConfiguration
metadata:
  name: {{ .name }}-webhook-config
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
  {{- if or $tls.injectCaFrom $tls.injectCaFromSecret }}
  annotations:
    {{- with $tls.injectCaFrom }}
    cert-manager.io/inject-ca-from: {{ . }}
    {{- end }}
    {{- with $tls.injectCaFromSecret }}
    cert-manager.io/inject-ca-from-secret: {{ . }}
    {{- end }}
  {{- end }}
webhooks:
  - name: {{ .name }}.linkerd.io
    namespaceSelector:
      {{- toYaml $tls.namespaceSelector | nindent 6 }}
    {{- with $tls.objectSelector }}
    objectSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    clientConfig:
      service:
        name: {{ .service }}
        namespace: {{ .root.Release.Namespace }}
        path: /
      {{- with .tls.ca }}
      caBundle: {{ . | b64enc }}
      {{- end }}
    failurePolicy: {{ .root.Values.webhookFailurePolicy }}
    admissionReviewVersions:
      - v1
      - v1beta1
    sideEffects: None
    {{- with $tls.timeoutSeconds }}
    timeoutSeconds: {{ . }}
    {{- end }}
{{- end }}

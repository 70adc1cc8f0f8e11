{{/* Takes root and component. */}}
{{- define "heddle.labels" -}}
linkerd.io/control-plane-ns: {{ .root.Release.Namespace }}
{{- if .component }}
linkerd.io/control-plane-component: {{ .component }}
{{- end }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "heddle.created-by" -}}
linkerd.io/created-by: {{ .Values.cliVersion | default (printf "heddle/helm %s" (toString .Values.linkerdVersion)) }}
{{- end }}

{{- define "heddle.trust-domain" -}}
{{ .Values.identityTrustDomain | default .Values.clusterDomain }}
{{- end }}

{{/* The word that our log knows for one of Linkerd's levels. */}}
{{- define "heddle.log-level" -}}
{{ if or (eq . "panic") (eq . "fatal") }}error{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Takes cpu, memory and ephemeral-storage, each with limit and request. */}}
{{- define "heddle.resources" -}}
{{- $limits := dict }}
{{- $requests := dict }}
{{- range $name, $of := . }}
{{- if $of.limit }}{{ $_ := set $limits $name (toString $of.limit) }}{{ end }}
{{- if $of.request }}{{ $_ := set $requests $name (toString $of.request) }}{{ end }}
{{- end }}
{{- if or $limits $requests }}
resources:
  {{- with $limits }}
  limits:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $requests }}
  requests:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Takes root, name and component. */}}
{{- define "heddle.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes root, component, kind (ClusterRole or Role), name, account and, if it differs, role. */}}
{{- define "heddle.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- if eq .kind "Role" }}
  namespace: {{ .root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .role | default .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* Takes root, name, component, port, target, portName, headless, unready and annotations. */}}
{{- define "heddle.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
  annotations:
    {{- include "heddle.created-by" .root | nindent 4 }}
    {{- with .annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  type: {{ .type | default "ClusterIP" }}
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  {{- if .unready }}
  publishNotReadyAddresses: true
  {{- end }}
  selector:
    linkerd.io/control-plane-component: {{ .component }}
  ports:
    - name: {{ .portName }}
      port: {{ .port }}
      targetPort: {{ .target | default .port }}
{{- end }}

{{/* Takes root, name and component. */}}
{{- define "heddle.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
  annotations:
    {{- include "heddle.created-by" .root | nindent 4 }}
spec:
  maxUnavailable: {{ .root.Values.controller.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      linkerd.io/control-plane-component: {{ .component }}
{{- end }}

{{/* Values of Linkerd's that we would have to pass over are refused, so that nobody counts on them. */}}
{{- define "heddle.refuse-unsupported" -}}
{{- if not .Values.enableEndpointSlices }}{{ fail "enableEndpointSlices is false; EndpointSlices are all that we read" }}{{ end }}
{{- if .Values.enablePprof }}{{ fail "enablePprof is true; we have no pprof" }}{{ end }}
{{- if .Values.enablePSP }}{{ fail "enablePSP is true; Kubernetes has no PodSecurityPolicies any more" }}{{ end }}
{{- if .Values.controller.tracing.enabled }}{{ fail "controller.tracing.enabled is true; our control plane sends no traces yet" }}{{ end }}
{{- range $name, $of := dict "destinationController" .Values.destinationController "policyController" .Values.policyController }}
{{- if or $of.additionalArgs $of.experimentalArgs }}{{ fail (printf "%s has arguments; our settings are variables: use %s.additionalEnv" $name $name) }}{{ end }}
{{- end }}
{{- end }}

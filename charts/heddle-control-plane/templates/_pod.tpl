{{/*
One container of the control plane. Takes root, name, roles, env (HEDDLE_CONTROL_… by what follows),
ports (name to number), admin (a port), settings (probes and variables of the part), level,
resources, mounts (volume to path).
*/}}
{{- define "heddle.container" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
name: {{ .name }}
image: {{ $values.controllerImage }}:{{ $values.controllerImageVersion | default $values.linkerdVersion }}
imagePullPolicy: {{ $values.imagePullPolicy }}
args:
  - control
env:
  - name: HEDDLE_LOG
    value: {{ include "heddle.log-level" .level | quote }}
  - name: HEDDLE_LOG_FORMAT
    value: {{ $values.controllerLogFormat | quote }}
  - name: HEDDLE_CONTROL_ROLES
    value: {{ .roles | quote }}
  - name: HEDDLE_CONTROL_LISTEN_IP
    value: {{ ternary "0.0.0.0" "::" $values.disableIPv6 | quote }}
  - name: HEDDLE_CONTROL_NAMESPACE
    value: {{ $root.Release.Namespace | quote }}
  - name: HEDDLE_CONTROL_CLUSTER_DOMAIN
    value: {{ $values.clusterDomain | quote }}
  - name: HEDDLE_CONTROL_IDENTITY_TRUST_DOMAIN
    value: {{ include "heddle.trust-domain" $root | quote }}
  {{- range $name, $value := .env }}
  - name: HEDDLE_CONTROL_{{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- with .settings.additionalEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .settings.experimentalEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- range $name, $port := .ports }}
  - name: {{ $name }}
    containerPort: {{ $port }}
  {{- end }}
livenessProbe:
  httpGet:
    path: {{ .livePath | default "/ping" }}
    port: {{ .admin }}
  initialDelaySeconds: 10
  timeoutSeconds: {{ .settings.livenessProbe.timeoutSeconds }}
readinessProbe:
  httpGet:
    path: /ready
    port: {{ .admin }}
  failureThreshold: 7
  timeoutSeconds: {{ .settings.readinessProbe.timeoutSeconds }}
{{- include "heddle.resources" (.resources | default $values.controllerResources) }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop:
      - ALL
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ int $values.controllerUID }}
  {{- if ge (int $values.controllerGID) 0 }}
  runAsGroup: {{ int $values.controllerGID }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: kube-api-access
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- range $name, $path := .mounts }}
  - name: {{ $name }}
    mountPath: {{ $path }}
    readOnly: true
  {{- end }}
{{- end }}

{{/*
A Deployment of the control plane with its own proxy. Takes root, component, name (of the Deployment
and its account), containers and volumes (both as text), inboundPorts, proxyResources.
*/}}
{{- define "heddle.deployment" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
{{- $isIdentity := eq .component "identity" }}
{{- $proxy := deepCopy $values.proxy }}
{{- if $isIdentity }}
{{- /* It certifies others, so it waits for no proxy, and the proxy asks it. */}}
{{- $_ := set $proxy "await" false }}
{{- $_ := set $proxy "nativeSidecar" false }}
{{- $_ := set $proxy "requireTLSOnInboundPorts" "8080" }}
{{- else if eq .component "destination" }}
{{- $_ := set $proxy "requireTLSOnInboundPorts" "8086,8090" }}
{{- end }}
{{- $_ := set $proxy "waitBeforeExitSeconds" 0 }}
{{- $_ := set $proxy "defaultInboundPolicy" "all-unauthenticated" }}
{{- $_ := set $proxy "outboundDiscoveryCacheUnusedTimeout" "5s" }}
{{- $_ := set $proxy "inboundDiscoveryCacheUnusedTimeout" "90s" }}
{{- with .proxyResources }}{{ $_ := set $proxy "resources" . }}{{ end }}
{{- $context := dict "root" $root "component" .component "proxy" $proxy "inboundPorts" .inboundPorts }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
    app.kubernetes.io/name: {{ .component }}
    app.kubernetes.io/part-of: Linkerd
    app.kubernetes.io/version: {{ $values.linkerdVersion | quote }}
  annotations:
    {{- include "heddle.created-by" $root | nindent 4 }}
spec:
  replicas: {{ $values.controllerReplicas }}
  revisionHistoryLimit: {{ $values.revisionHistoryLimit }}
  selector:
    matchLabels:
      linkerd.io/control-plane-component: {{ .component }}
      linkerd.io/control-plane-ns: {{ $root.Release.Namespace }}
      linkerd.io/proxy-deployment: {{ .name }}
  {{- with $values.deploymentStrategy }}
  strategy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "heddle.labels" . | nindent 8 }}
        linkerd.io/workload-ns: {{ $root.Release.Namespace }}
        linkerd.io/proxy-deployment: {{ .name }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        {{- include "heddle.created-by" $root | nindent 8 }}
        linkerd.io/proxy-version: {{ $values.proxy.image.version | default $values.linkerdVersion | quote }}
        linkerd.io/trust-root-sha256: {{ $values.identityTrustAnchorsPEM | sha256sum | quote }}
        config.linkerd.io/default-inbound-policy: all-unauthenticated
        cluster-autoscaler.kubernetes.io/safe-to-evict: "true"
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      automountServiceAccountToken: false
      {{- with $values.runtimeClassName }}
      runtimeClassName: {{ . | quote }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "heddle.affinity" . | nindent 6 }}
      securityContext:
        seccompProfile:
          type: RuntimeDefault
      initContainers:
        {{- if $values.cniEnabled }}
        - {{ include "heddle.validator" $context | nindent 10 | trim }}
        {{- else }}
        - {{ include "heddle.init" $context | nindent 10 | trim }}
        {{- end }}
        {{- if $proxy.nativeSidecar }}
        - {{ include "heddle.proxy" $context | nindent 10 | trim }}
        {{- end }}
      containers:
        {{- if not (or $proxy.nativeSidecar $isIdentity) }}
        - {{ include "heddle.proxy" $context | nindent 10 | trim }}
        {{- end }}
        {{- .containers | nindent 8 }}
        {{- if $isIdentity }}
        - {{ include "heddle.proxy" $context | nindent 10 | trim }}
        {{- end }}
      volumes:
        - name: kube-api-access
          projected:
            defaultMode: 420
            sources:
              - serviceAccountToken:
                  path: token
                  expirationSeconds: 3607
              - configMap:
                  name: kube-root-ca.crt
                  items:
                    - key: ca.crt
                      path: ca.crt
              - downwardAPI:
                  items:
                    - path: namespace
                      fieldRef:
                        apiVersion: v1
                        fieldPath: metadata.namespace
        {{- include "heddle.proxy-volumes" $context | nindent 8 }}
        {{- with .volumes }}
        {{- . | nindent 8 }}
        {{- end }}
{{- end }}

{{/* Takes root and component. */}}
{{- define "heddle.affinity" -}}
{{- $values := .root.Values }}
{{- if or $values.enablePodAntiAffinity $values.nodeAffinity }}
affinity:
  {{- with $values.nodeAffinity }}
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $values.enablePodAntiAffinity }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: topology.kubernetes.io/zone
          labelSelector:
            matchExpressions:
              - key: linkerd.io/control-plane-component
                operator: In
                values:
                  - {{ .component }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchExpressions:
            - key: linkerd.io/control-plane-component
              operator: In
              values:
                - {{ .component }}
  {{- end }}
{{- end }}
{{- end }}

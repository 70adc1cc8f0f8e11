{{/*
The control plane's own proxies: what the injector gives to pods (packages/inject), but for the few
things that a control plane has otherwise; helm-proxy.test.ts holds the two against each other.
Everything here takes root, component, proxy (the values, as changed for the pod) and inboundPorts.
*/}}
{{- define "heddle.proxy-image" -}}
{{- $values := .root.Values }}
image: {{ .proxy.image.name }}:{{ .proxy.image.version | default $values.linkerdVersion }}
imagePullPolicy: {{ .proxy.image.pullPolicy | default $values.imagePullPolicy }}
{{- end }}

{{- define "heddle.proxy" -}}
{{- $values := .root.Values }}
{{- $proxy := .proxy }}
name: linkerd-proxy
{{- include "heddle.proxy-image" . | nindent 0 }}
ports:
  - name: linkerd-proxy
    containerPort: {{ $proxy.ports.inbound }}
  - name: linkerd-admin
    containerPort: {{ $proxy.ports.admin }}
livenessProbe:
  httpGet:
    path: /live
    port: {{ $proxy.ports.admin }}
  {{- include "heddle.proxy-probe" $proxy.livenessProbe | nindent 2 }}
readinessProbe:
  httpGet:
    path: /ready
    port: {{ $proxy.ports.admin }}
  {{- include "heddle.proxy-probe" $proxy.readinessProbe | nindent 2 }}
{{- if and $proxy.nativeSidecar $proxy.await }}
startupProbe:
  httpGet:
    path: /ready
    port: {{ $proxy.ports.admin }}
  {{- include "heddle.proxy-probe" $proxy.startupProbe | nindent 2 }}
{{- end }}
{{- if $proxy.nativeSidecar }}
restartPolicy: Always
{{- else if $proxy.await }}
lifecycle:
  postStart:
    exec:
      command:
        - /usr/lib/linkerd/linkerd-await
        - --timeout=2m
        - --port={{ $proxy.ports.admin }}
{{- end }}
{{- include "heddle.resources" $proxy.resources }}
securityContext:
  {{- if $proxy.securityContext }}
  {{- toYaml $proxy.securityContext | nindent 2 }}
  {{- else }}
  allowPrivilegeEscalation: false
  capabilities:
    drop:
      - ALL
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ int $proxy.uid }}
  {{- if ge (int $proxy.gid) 0 }}
  runAsGroup: {{ int $proxy.gid }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
  {{- end }}
terminationMessagePolicy: FallbackToLogsOnError
env:
  {{- include "heddle.proxy-env" . | nindent 2 }}
volumeMounts:
  - name: linkerd-identity-end-entity
    mountPath: /var/run/linkerd/identity/end-entity
  {{- if $proxy.tracing.enabled }}
  - name: linkerd-podinfo
    mountPath: /var/run/linkerd/podinfo
  {{- end }}
  {{- if $values.identity.serviceAccountTokenProjection }}
  - name: linkerd-identity-token
    mountPath: /var/run/secrets/tokens
  {{- end }}
  - name: kube-api-access
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
{{- end }}

{{/* Takes one of the proxy's probes: zeros are Kubernetes' own defaults, but for the delay. */}}
{{- define "heddle.proxy-probe" -}}
initialDelaySeconds: {{ .initialDelaySeconds }}
{{- with .timeoutSeconds }}
timeoutSeconds: {{ . }}
{{- end }}
{{- with .periodSeconds }}
periodSeconds: {{ . }}
{{- end }}
{{- with .failureThreshold }}
failureThreshold: {{ . }}
{{- end }}
{{- end }}

{{- define "heddle.proxy-env" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
{{- $proxy := .proxy }}
{{- $ns := .root.Release.Namespace }}
{{- $suffix := printf "%s.svc.%s." $ns $values.clusterDomain }}
{{- $domain := include "heddle.trust-domain" $root }}
{{- $identities := printf "serviceaccount.identity.%s.%s" $ns $domain }}
{{- $any := ternary "0.0.0.0" "[::]" $values.disableIPv6 }}
{{- $out := toString $proxy.ports.outbound }}
{{- $workers := toString $proxy.runtime.workers.minimum }}
- name: _pod_name
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: _pod_ns
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: _pod_uid
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: _pod_ip
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: _pod_nodeName
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: _pod_containerName
  value: linkerd-proxy
{{- with $proxy.cores }}{{ $workers = toString . }}{{ end }}
- name: LINKERD2_PROXY_CORES
  value: {{ $workers | quote }}
- name: LINKERD2_PROXY_CORES_MIN
  value: {{ $workers | quote }}
{{- if not $proxy.cores }}
{{- with $proxy.runtime.workers.maximum }}
- name: LINKERD2_PROXY_CORES_MAX
  value: {{ . | quote }}
{{- end }}
{{- with $proxy.runtime.workers.maximumCPURatio }}
- name: LINKERD2_PROXY_CORES_MAX_RATIO
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- with $proxy.requireIdentityOnInboundPorts }}
- name: LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY
  value: {{ . | quote }}
{{- end }}
{{- with $proxy.requireTLSOnInboundPorts }}
- name: LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_TLS
  value: {{ . | quote }}
{{- end }}
- name: LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED
  value: {{ $proxy.enableShutdownEndpoint | quote }}
- name: LINKERD2_PROXY_LOG
  value: {{ ternary $proxy.logLevel (printf "%s,[{headers}]=off,[{request}]=off" $proxy.logLevel) (eq $proxy.logHTTPHeaders "insecure") | quote }}
- name: LINKERD2_PROXY_LOG_FORMAT
  value: {{ $proxy.logFormat | quote }}
- name: LINKERD2_PROXY_DESTINATION_SVC_ADDR
  value: {{ ternary "localhost.:8086" (printf "linkerd-dst-headless.%s:8086" $suffix) (eq .component "destination") }}
- name: LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS
  value: {{ $values.clusterNetworks | quote }}
- name: LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS
  value: {{ $values.clusterNetworks | quote }}
- name: LINKERD2_PROXY_POLICY_SVC_ADDR
  value: {{ ternary "localhost.:8090" (printf "linkerd-policy.%s:8090" $suffix) (eq .component "destination") }}
- name: LINKERD2_PROXY_POLICY_WORKLOAD
  value: |
    {"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}
- name: LINKERD2_PROXY_INBOUND_DEFAULT_POLICY
  value: {{ $proxy.defaultInboundPolicy }}
- name: LINKERD2_PROXY_CONTROL_STREAM_INITIAL_TIMEOUT
  value: {{ $proxy.control.streams.initialTimeout | quote }}
- name: LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT
  value: {{ $proxy.control.streams.idleTimeout | quote }}
- name: LINKERD2_PROXY_CONTROL_STREAM_LIFETIME
  value: {{ $proxy.control.streams.lifetime | quote }}
- name: LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT
  value: {{ $proxy.inboundConnectTimeout | quote }}
- name: LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT
  value: {{ $proxy.outboundConnectTimeout | quote }}
- name: LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT
  value: {{ $proxy.outboundDiscoveryCacheUnusedTimeout | quote }}
- name: LINKERD2_PROXY_INBOUND_DISCOVERY_IDLE_TIMEOUT
  value: {{ $proxy.inboundDiscoveryCacheUnusedTimeout | quote }}
{{- if $proxy.disableOutboundProtocolDetectTimeout }}
- name: LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT
  value: 365d
{{- end }}
{{- if $proxy.disableInboundProtocolDetectTimeout }}
- name: LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT
  value: 365d
{{- end }}
- name: LINKERD2_PROXY_CONTROL_LISTEN_ADDR
  value: {{ printf "%s:%s" $any (toString $proxy.ports.control) | quote }}
- name: LINKERD2_PROXY_ADMIN_LISTEN_ADDR
  value: {{ printf "%s:%s" $any (toString $proxy.ports.admin) | quote }}
- name: LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR
  value: {{ printf "127.0.0.1:%s" $out | quote }}
- name: LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS
  value: {{ ternary (printf "127.0.0.1:%s" $out) (printf "127.0.0.1:%s,[::1]:%s" $out $out) $values.disableIPv6 | quote }}
- name: LINKERD2_PROXY_INBOUND_LISTEN_ADDR
  value: {{ printf "%s:%s" $any (toString $proxy.ports.inbound) | quote }}
- name: LINKERD2_PROXY_INBOUND_IPS
  valueFrom:
    fieldRef:
      fieldPath: status.podIPs
- name: LINKERD2_PROXY_INBOUND_PORTS
  value: {{ .inboundPorts | quote }}
- name: LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES
  value: {{ ternary "." (printf "svc.%s." $values.clusterDomain) $proxy.enableExternalProfiles | quote }}
- name: LINKERD2_PROXY_INBOUND_ACCEPT_KEEPALIVE
  value: 10000ms
- name: LINKERD2_PROXY_OUTBOUND_CONNECT_KEEPALIVE
  value: 10000ms
- name: LINKERD2_PROXY_INBOUND_ACCEPT_USER_TIMEOUT
  value: 30s
- name: LINKERD2_PROXY_OUTBOUND_CONNECT_USER_TIMEOUT
  value: 30s
- name: LINKERD2_PROXY_OUTBOUND_METRICS_HOSTNAME_LABELS
  value: {{ $proxy.metrics.hostnameLabels | quote }}
{{- if $proxy.tracing.enabled }}
{{- include "heddle.proxy-tracing" . | nindent 0 }}
{{- end }}
{{- range $side := list "inbound" "outbound" }}
{{- range $scope, $protocols := index $proxy $side }}
{{- range $protocol, $parameters := $protocols }}
{{- range $parameter, $value := $parameters }}
- name: LINKERD2_PROXY_{{ upper $side }}_{{ snakecase $scope | upper }}_{{ snakecase $protocol | upper }}_{{ snakecase $parameter | upper }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $proxy.opaquePorts }}
- name: LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION
  value: {{ . | quote }}
{{- end }}
- name: LINKERD2_PROXY_DESTINATION_CONTEXT
  value: |
    {"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}
- name: _pod_sa
  valueFrom:
    fieldRef:
      fieldPath: spec.serviceAccountName
- name: _l5d_ns
  value: {{ $ns | quote }}
- name: _l5d_trustdomain
  value: {{ $domain | quote }}
- name: LINKERD2_PROXY_IDENTITY_DIR
  value: /var/run/linkerd/identity/end-entity
- name: LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS
  valueFrom:
    configMapKeyRef:
      name: linkerd-identity-trust-roots
      key: ca-bundle.crt
- name: LINKERD2_PROXY_IDENTITY_TOKEN_FILE
  value: {{ ternary "/var/run/secrets/tokens/linkerd-identity-token" "/var/run/secrets/kubernetes.io/serviceaccount/token" $values.identity.serviceAccountTokenProjection }}
- name: LINKERD2_PROXY_IDENTITY_SVC_ADDR
  value: {{ ternary "localhost.:8080" (printf "linkerd-identity-headless.%s:8080" $suffix) (eq .component "identity") }}
- name: LINKERD2_PROXY_IDENTITY_LOCAL_NAME
  value: $(_pod_sa).$(_pod_ns).{{ $identities }}
- name: LINKERD2_PROXY_IDENTITY_SVC_NAME
  value: linkerd-identity.{{ $ns }}.{{ $identities }}
- name: LINKERD2_PROXY_DESTINATION_SVC_NAME
  value: linkerd-destination.{{ $ns }}.{{ $identities }}
- name: LINKERD2_PROXY_POLICY_SVC_NAME
  value: linkerd-destination.{{ $ns }}.{{ $identities }}
{{- with $proxy.accessLog }}
- name: LINKERD2_PROXY_ACCESS_LOG
  value: {{ . | quote }}
{{- end }}
{{- with $proxy.shutdownGracePeriod }}
- name: LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD
  value: {{ . | quote }}
{{- end }}
{{- with $proxy.additionalEnv }}
{{ toYaml . }}
{{- end }}
{{- with $proxy.experimentalEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "heddle.proxy-tracing" -}}
{{- $tracing := .proxy.tracing }}
{{- $who := $tracing.collector.meshIdentity }}
- name: LINKERD2_PROXY_TRACE_ATTRIBUTES_PATH
  value: /var/run/linkerd/podinfo/labels
- name: LINKERD2_PROXY_TRACE_ANNOTATIONS_PATH
  value: /var/run/linkerd/podinfo/annotations
- name: LINKERD2_PROXY_TRACE_PROTOCOL
  value: {{ $tracing.protocol | quote }}
- name: LINKERD2_PROXY_TRACE_SERVICE_NAME
  value: {{ $tracing.traceServiceName | quote }}
- name: LINKERD2_PROXY_TRACE_COLLECTOR_SVC_ADDR
  value: {{ required "set proxy.tracing.collector.endpoint" $tracing.collector.endpoint | quote }}
- name: LINKERD2_PROXY_TRACE_COLLECTOR_SVC_NAME
  value: {{ required "set proxy.tracing.collector.meshIdentity.serviceAccountName" $who.serviceAccountName }}.{{ required "set proxy.tracing.collector.meshIdentity.namespace" $who.namespace }}.serviceaccount.identity.{{ .root.Release.Namespace }}.{{ include "heddle.trust-domain" .root }}
- name: LINKERD2_PROXY_TRACE_EXTRA_ATTRIBUTES
  value: |
    {{- range $key, $value := $tracing.labels }}
    {{ $key }}={{ $value }}
    {{- end }}
{{- end }}

{{- define "heddle.proxy-volumes" -}}
- name: linkerd-identity-end-entity
  emptyDir:
    medium: Memory
{{- if .proxy.tracing.enabled }}
- name: linkerd-podinfo
  downwardAPI:
    items:
      - path: labels
        fieldRef:
          fieldPath: metadata.labels
{{- end }}
{{- /* The control plane proves itself with this token too. */}}
- name: linkerd-identity-token
  projected:
    sources:
      - serviceAccountToken:
          path: linkerd-identity-token
          expirationSeconds: 86400
          audience: identity.l5d.io
{{- if not .root.Values.cniEnabled }}
- name: {{ .root.Values.proxyInit.xtMountPath.name }}
  emptyDir: {}
{{- end }}
{{- end }}

{{- define "heddle.init" -}}
{{- $values := .root.Values }}
{{- $init := .root.Values.proxyInit }}
{{- $proxy := .proxy }}
{{- $isPrivileged := or $init.closeWaitTimeoutSecs $init.privileged }}
{{- if and $init.closeWaitTimeoutSecs (not $init.runAsRoot) }}{{ fail "proxyInit.closeWaitTimeoutSecs needs proxyInit.runAsRoot" }}{{ end }}
name: linkerd-init
{{- include "heddle.proxy-image" . | nindent 0 }}
command:
  - /usr/lib/linkerd/linkerd2-proxy-init
args:
  {{- if eq $init.iptablesMode "nft" }}
  - --firewall-bin-path
  - iptables-nft
  - --firewall-save-bin-path
  - iptables-nft-save
  {{- end }}
  {{- if $values.disableIPv6 }}
  - --ipv6=false
  {{- end }}
  - --incoming-proxy-port
  - {{ $proxy.ports.inbound | quote }}
  - --outgoing-proxy-port
  - {{ $proxy.ports.outbound | quote }}
  - --proxy-uid
  - {{ int $proxy.uid | quote }}
  {{- if ge (int $proxy.gid) 0 }}
  - --proxy-gid
  - {{ int $proxy.gid | quote }}
  {{- end }}
  - --inbound-ports-to-ignore
  {{- $own := printf "%s,%s" (toString $proxy.ports.control) (toString $proxy.ports.admin) }}
  - {{ if $init.ignoreInboundPorts }}{{ printf "%s,%s" $own (toString $init.ignoreInboundPorts) | quote }}{{ else }}{{ $own | quote }}{{ end }}
  - --outbound-ports-to-ignore
  - {{ $init.kubeAPIServerPorts | quote }}
  {{- with $init.closeWaitTimeoutSecs }}
  - --timeout-close-wait-secs
  - {{ . | quote }}
  {{- end }}
  {{- with $init.logFormat }}
  - --log-format
  - {{ . }}
  {{- end }}
  {{- with $init.logLevel }}
  - --log-level
  - {{ . }}
  {{- end }}
  {{- with $init.skipSubnets }}
  - --subnets-to-ignore
  - {{ . | quote }}
  {{- end }}
{{- include "heddle.resources" $proxy.resources }}
securityContext:
  allowPrivilegeEscalation: {{ ternary true false (not (empty $isPrivileged)) }}
  capabilities:
    add:
      - NET_ADMIN
      - NET_RAW
    drop:
      - ALL
  privileged: {{ ternary true false (not (empty $isPrivileged)) }}
  readOnlyRootFilesystem: true
  runAsNonRoot: {{ not $init.runAsRoot }}
  runAsUser: {{ if $init.runAsRoot }}0{{ else }}{{ int ($init.runAsUser | default 65534) }}{{ end }}
  runAsGroup: {{ if $init.runAsRoot }}0{{ else }}{{ int ($init.runAsGroup | default 65534) }}{{ end }}
  seccompProfile:
    type: RuntimeDefault
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: {{ $init.xtMountPath.name }}
    mountPath: {{ $init.xtMountPath.mountPath }}
  - name: kube-api-access
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
{{- end }}

{{- define "heddle.validator" -}}
{{- $values := .root.Values }}
{{- $validator := .root.Values.networkValidator }}
name: linkerd-network-validator
{{- include "heddle.proxy-image" . | nindent 0 }}
command:
  - /usr/lib/linkerd/linkerd2-network-validator
args:
  - --log-format
  - {{ $validator.logFormat }}
  - --log-level
  - {{ $validator.logLevel }}
  - --connect-addr
  - {{ $validator.connectAddr | default (ternary "1.1.1.1:20001" "[fd00::1]:20001" $values.disableIPv6) | quote }}
  - --listen-addr
  - {{ $validator.listenAddr | default (printf "%s:%s" (ternary "0.0.0.0" "[::]" $values.disableIPv6) (toString .proxy.ports.outbound)) | quote }}
  - --timeout
  - {{ $validator.timeout }}
{{- include "heddle.resources" .proxy.resources }}
{{- if $validator.enableSecurityContext }}
securityContext:
  {{- toYaml $validator.securityContext | nindent 2 }}
{{- end }}
{{- end }}

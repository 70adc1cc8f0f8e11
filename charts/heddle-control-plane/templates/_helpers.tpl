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
linkerd.io/created-by: {{ .Values.cliVersion | default (include "heddle.chart-version" .) }}
{{- end }}

{{- define "heddle.chart-version" -}}
heddle/helm {{ .Values.linkerdVersion }}
{{- end }}

{{- define "heddle.trust-domain" -}}
{{ .Values.identityTrustDomain | default .Values.clusterDomain }}
{{- end }}

{{/* Takes root, component, container, roles, ports (name to number), admin, account and resources. */}}
{{- define "heddle.deployment" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .account }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "heddle.labels" . | nindent 4 }}
    app.kubernetes.io/name: {{ .component }}
    app.kubernetes.io/part-of: Linkerd
  annotations:
    {{- include "heddle.created-by" $root | nindent 4 }}
spec:
  replicas: {{ $values.controllerReplicas }}
  revisionHistoryLimit: {{ $values.revisionHistoryLimit }}
  selector:
    matchLabels:
      linkerd.io/control-plane-component: {{ .component }}
      linkerd.io/control-plane-ns: {{ $root.Release.Namespace }}
  strategy:
    {{- toYaml $values.deploymentStrategy | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "heddle.labels" . | nindent 8 }}
        linkerd.io/workload-ns: {{ $root.Release.Namespace }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        {{- include "heddle.created-by" $root | nindent 8 }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .account }}
      automountServiceAccountToken: false
      {{- with $values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
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
      {{- if $values.enablePodAntiAffinity }}
      affinity:
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
      securityContext:
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: {{ .container }}
          image: {{ $values.controllerImage }}:{{ $values.controllerImageVersion | default $values.linkerdVersion }}
          imagePullPolicy: {{ $values.imagePullPolicy }}
          args:
            - control
          env:
            - name: HEDDLE_LOG
              value: {{ $values.controllerLogLevel | quote }}
            - name: HEDDLE_LOG_FORMAT
              value: {{ $values.controllerLogFormat | quote }}
            - name: HEDDLE_CONTROL_ROLES
              value: {{ .roles | quote }}
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
          ports:
            {{- range $name, $port := .ports }}
            - name: {{ $name }}
              containerPort: {{ $port }}
            {{- end }}
          livenessProbe:
            httpGet:
              path: /ping
              port: {{ .admin }}
            initialDelaySeconds: 10
          readinessProbe:
            httpGet:
              path: /ready
              port: {{ .admin }}
            failureThreshold: 7
          {{- with .resources }}
          resources:
            {{- include "heddle.resources" . | nindent 12 }}
          {{- end }}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop:
                - ALL
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            runAsUser: {{ $values.controllerUID }}
          volumeMounts:
            - name: kube-api-access
              mountPath: /var/run/secrets/kubernetes.io/serviceaccount
              readOnly: true
            - name: linkerd-identity-token
              mountPath: /var/run/secrets/tokens
              readOnly: true
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
        - name: linkerd-identity-token
          projected:
            sources:
              - serviceAccountToken:
                  path: linkerd-identity-token
                  expirationSeconds: 86400
                  audience: identity.l5d.io
{{- end }}

{{- define "heddle.resources" -}}
{{- $cpu := .cpu | default dict }}
{{- $memory := .memory | default dict }}
{{- if or $cpu.request $memory.request }}
requests:
  {{- with $cpu.request }}
  cpu: {{ . | quote }}
  {{- end }}
  {{- with $memory.request }}
  memory: {{ . | quote }}
  {{- end }}
{{- end }}
{{- if or $cpu.limit $memory.limit }}
limits:
  {{- with $cpu.limit }}
  cpu: {{ . | quote }}
  {{- end }}
  {{- with $memory.limit }}
  memory: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Takes root, name, component, port, portName and headless. */}}
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
spec:
  type: ClusterIP
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  selector:
    linkerd.io/control-plane-component: {{ .component }}
  ports:
    - name: {{ .portName }}
      port: {{ .port }}
      targetPort: {{ .port }}
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

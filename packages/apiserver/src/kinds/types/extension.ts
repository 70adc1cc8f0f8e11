/** Custom resources and webhooks. The notation is that of `parseTypes`. */
export const EXTENSION_TYPES: string = `
MutatingWebhookConfiguration: metadata ObjectMeta; webhooks [MutatingWebhook] ~name #
MutatingWebhook: admissionReviewVersions* [string]; clientConfig* WebhookClientConfig;
  failurePolicy (Fail|Ignore) =Fail; matchConditions [MatchCondition] ~name #; matchPolicy
  (Exact|Equivalent) =Equivalent; name* string; namespaceSelector LabelSelector ={};
  objectSelector LabelSelector ={}; reinvocationPolicy string =Never; rules [RuleWithOperations];
  sideEffects* (None|NoneOnDryRun|Some|Unknown); timeoutSeconds int32 =10
WebhookClientConfig: caBundle bytes; service ServiceReference; url string
ServiceReference: name* string; namespace* string; path string; port int32 =443
MatchCondition: expression string; name string
RuleWithOperations: apiGroups [string]; apiVersions [string]; operations [string]; resources
  [string]; scope string =*
ValidatingWebhookConfiguration: metadata ObjectMeta; webhooks [ValidatingWebhook] ~name #
ValidatingWebhook: admissionReviewVersions* [string]; clientConfig* WebhookClientConfig;
  failurePolicy (Fail|Ignore) =Fail; matchConditions [MatchCondition] ~name #; matchPolicy
  (Exact|Equivalent) =Equivalent; name* string; namespaceSelector LabelSelector ={};
  objectSelector LabelSelector ={}; rules [RuleWithOperations]; sideEffects*
  (None|NoneOnDryRun|Some|Unknown); timeoutSeconds int32 =10
CustomResourceDefinition: metadata ObjectMeta; spec* CustomResourceDefinitionSpec; status
  CustomResourceDefinitionStatus
CustomResourceDefinitionSpec: conversion CustomResourceConversion; group* string; names*
  CustomResourceDefinitionNames; preserveUnknownFields bool; scope* (Namespaced|Cluster);
  versions* [CustomResourceDefinitionVersion]
CustomResourceConversion: strategy* string; webhook WebhookConversion
WebhookConversion: clientConfig ApiextensionsWebhookClientConfig; conversionReviewVersions*
  [string]
ApiextensionsWebhookClientConfig: caBundle bytes; service ApiextensionsServiceReference; url
  string
ApiextensionsServiceReference: name* string; namespace* string; path string; port int32 =443
CustomResourceDefinitionNames: categories [string]; kind* string; listKind string; plural* string;
  shortNames [string]; singular string
CustomResourceDefinitionVersion: additionalPrinterColumns [CustomResourceColumnDefinition];
  deprecated bool; deprecationWarning string; name* string; schema CustomResourceValidation;
  selectableFields [SelectableField]; served* bool; storage* bool; subresources
  CustomResourceSubresources
CustomResourceColumnDefinition: description string; format string; jsonPath* string; name* string;
  priority int32; type* string
CustomResourceValidation: openAPIV3Schema any
SelectableField: jsonPath* string
CustomResourceSubresources: scale CustomResourceSubresourceScale; status
  CustomResourceSubresourceStatus
CustomResourceSubresourceScale: labelSelectorPath string; specReplicasPath* string;
  statusReplicasPath* string
CustomResourceSubresourceStatus:
CustomResourceDefinitionStatus: acceptedNames CustomResourceDefinitionNames; conditions
  [CustomResourceDefinitionCondition] #type; observedGeneration int64; storedVersions [string]
CustomResourceDefinitionCondition: lastTransitionTime time; message string; observedGeneration
  int64; reason string; status string; type string
`;

/** Custom resources and webhooks. The notation is that of `parseTypes`. */
export const EXTENSION_TYPES: string = `
MutatingWebhookConfiguration: 1:metadata ObjectMeta; 2:webhooks [MutatingWebhook] ~name #
MutatingWebhook: 8:admissionReviewVersions* [string]; 2:clientConfig* WebhookClientConfig!;
  4:failurePolicy (Fail|Ignore) =Fail; 12:matchConditions [MatchCondition] ~name #; 9:matchPolicy
  (Exact|Equivalent) =Equivalent; 1:name* string; 5:namespaceSelector LabelSelector ={};
  11:objectSelector LabelSelector ={}; 10:reinvocationPolicy string =Never; 3:rules
  [RuleWithOperations]; 6:sideEffects* (None|NoneOnDryRun|Some|Unknown); 7:timeoutSeconds int32?
  =10
WebhookClientConfig: 2:caBundle bytes; 1:service ServiceReference; 3:url string
ServiceReference: 2:name* string; 1:namespace* string; 3:path string; 4:port int32? =443
MatchCondition: 2:expression string; 1:name string
RuleWithOperations: 2.1:apiGroups [string]; 2.2:apiVersions [string]; 1:operations [string];
  2.3:resources [string]; 2.4:scope string =*
ValidatingWebhookConfiguration: 1:metadata ObjectMeta; 2:webhooks [ValidatingWebhook] ~name #
ValidatingWebhook: 8:admissionReviewVersions* [string]; 2:clientConfig* WebhookClientConfig!;
  4:failurePolicy (Fail|Ignore) =Fail; 11:matchConditions [MatchCondition] ~name #; 9:matchPolicy
  (Exact|Equivalent) =Equivalent; 1:name* string; 5:namespaceSelector LabelSelector ={};
  10:objectSelector LabelSelector ={}; 3:rules [RuleWithOperations]; 6:sideEffects*
  (None|NoneOnDryRun|Some|Unknown); 7:timeoutSeconds int32? =10
CustomResourceDefinition: metadata ObjectMeta; spec* CustomResourceDefinitionSpec!; status
  CustomResourceDefinitionStatus!
CustomResourceDefinitionSpec: conversion CustomResourceConversion; group* string; names*
  CustomResourceDefinitionNames!; preserveUnknownFields bool; scope* (Namespaced|Cluster);
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
CustomResourceDefinitionStatus: acceptedNames CustomResourceDefinitionNames!; conditions
  [CustomResourceDefinitionCondition]! #type; observedGeneration int64; storedVersions [string]
CustomResourceDefinitionCondition: lastTransitionTime time; message string; observedGeneration
  int64; reason string; status string; type string
`;

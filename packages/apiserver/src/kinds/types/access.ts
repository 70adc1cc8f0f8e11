/** Tokens, reviews and roles. The notation is that of `parseTypes`. */
export const ACCESS_TYPES: string = `
TokenRequest: metadata ObjectMeta; spec TokenRequestSpec; status TokenRequestStatus
TokenRequestSpec: attestations {[string]}; audiences [string]; boundObjectRef
  BoundObjectReference; expirationSeconds int64 =3600
BoundObjectReference: apiVersion string; kind string; name string; uid string
TokenRequestStatus: expirationTimestamp time; token string
TokenReview: metadata ObjectMeta; spec* TokenReviewSpec; status TokenReviewStatus
TokenReviewSpec: audiences [string]; token* string
TokenReviewStatus: audiences [string]; authenticated bool; error string; user UserInfo
UserInfo: extra {[string]}; groups [string]; uid string; username string
SelfSubjectReview: metadata ObjectMeta; status SelfSubjectReviewStatus
SelfSubjectReviewStatus: userInfo UserInfo
SelfSubjectAccessReview: metadata ObjectMeta; spec* SelfSubjectAccessReviewSpec; status
  SubjectAccessReviewStatus
SelfSubjectAccessReviewSpec: nonResourceAttributes NonResourceAttributes; resourceAttributes
  ResourceAttributes
NonResourceAttributes: path string; verb string
ResourceAttributes: fieldSelector FieldSelectorAttributes; group string; labelSelector
  LabelSelectorAttributes; name string; namespace string; resource string; subresource string;
  verb string; version string
FieldSelectorAttributes: rawSelector string; requirements [FieldSelectorRequirement]
LabelSelectorAttributes: rawSelector string; requirements [LabelSelectorRequirement]
SubjectAccessReviewStatus: allowed bool; denied bool; evaluationError string; reason string
SubjectAccessReview: metadata ObjectMeta; spec* SubjectAccessReviewSpec; status
  SubjectAccessReviewStatus
SubjectAccessReviewSpec: extra {[string]}; groups [string]; nonResourceAttributes
  NonResourceAttributes; resourceAttributes ResourceAttributes; uid string; user string
LocalSubjectAccessReview: metadata ObjectMeta; spec* SubjectAccessReviewSpec; status
  SubjectAccessReviewStatus
SelfSubjectRulesReview: metadata ObjectMeta; spec* SelfSubjectRulesReviewSpec; status
  SubjectRulesReviewStatus
SelfSubjectRulesReviewSpec: namespace string
SubjectRulesReviewStatus: evaluationError string; incomplete bool; nonResourceRules
  [NonResourceRule]; resourceRules [ResourceRule]
NonResourceRule: nonResourceURLs [string]; verbs* [string]
ResourceRule: apiGroups [string]; resourceNames [string]; resources [string]; verbs* [string]
ClusterRole: aggregationRule AggregationRule; metadata ObjectMeta; rules [PolicyRule]
AggregationRule: clusterRoleSelectors [LabelSelector]
PolicyRule: apiGroups [string]; nonResourceURLs [string]; resourceNames [string]; resources
  [string]; verbs* [string]
ClusterRoleBinding: metadata ObjectMeta; roleRef* RoleRef; subjects [Subject]
RoleRef: apiGroup string; kind* string; name* string
Subject: apiGroup string; kind* string; name* string; namespace string
Role: metadata ObjectMeta; rules [PolicyRule]
RoleBinding: metadata ObjectMeta; roleRef* RoleRef; subjects [Subject]
`;

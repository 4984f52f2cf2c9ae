// Who asks: one identity for the job, one for the function app, one for its HTTP API. No secret belongs to any.
param location string
param tags object
param runnerName string
param dispatcherName string
@description('Empty: there is no HTTP API.')
param webName string

resource runner 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: runnerName
  location: location
  tags: tags
}

resource dispatcher 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: dispatcherName
  location: location
  tags: tags
}

resource web 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = [for name in (empty(webName) ? [] : [webName]): {
  name: name
  location: location
  tags: tags
}]

output runnerId string = runner.id
output runnerClientId string = runner.properties.clientId
output runnerPrincipalId string = runner.properties.principalId
output dispatcherId string = dispatcher.id
output dispatcherClientId string = dispatcher.properties.clientId
output dispatcherPrincipalId string = dispatcher.properties.principalId
output webId string = !empty(webName) ? web[0].id : ''
output webClientId string = !empty(webName) ? web[0].properties.clientId : ''
output webPrincipalId string = !empty(webName) ? web[0].properties.principalId : ''
